"""Starts the storefront: PORT, INVENTORY_URL and CATALOG (full or sample) come from the environment."""

import os

from storefront.app import build
from storefront.catalog import products
from storefront.inventory import Inventory
from storefront.web import run

if __name__ == "__main__":
    inventory = Inventory(os.environ.get("INVENTORY_URL", "http://127.0.0.1:8081"))
    run(build(os.environ, products(os.environ.get("CATALOG", "full")), inventory), close=inventory.close)
