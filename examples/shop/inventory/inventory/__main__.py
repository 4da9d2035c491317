"""Starts inventory: PORT and DATA_DIR come from the environment."""

import os
from pathlib import Path

from inventory.app import build
from inventory.stock import Stock
from inventory.web import run

if __name__ == "__main__":
    stock = Stock(Path(os.environ.get("DATA_DIR", ".")) / "stock.sqlite")
    app = build(os.environ, stock)
    app.log("stock opened")
    run(app, close=stock.close)
