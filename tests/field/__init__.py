"""What real browsers, proxies, shells and phone files brought, made again."""
