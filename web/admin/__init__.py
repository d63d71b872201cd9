"""What whoever runs the server sees of it: numbers at `/admin` and `/metrics`, never a person."""
