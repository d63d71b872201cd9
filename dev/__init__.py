"""What only maintainers run: measurements that need pictures which are not shipped."""
