"""The shop's storefront: what is sold, what is in stock, and orders."""
