"""What the shop sells, and the page that lists it with the stock of each product."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from storefront.web import Trace


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is sold; its price is in cents."""

    id: str
    name: str
    price_cents: int


class Stock(Protocol):
    """What the storefront asks of inventory."""

    def stock_of(self, ids: Sequence[str], trace: Trace) -> Mapping[str, int]: ...
    def reserve(self, product_id: str, quantity: int, trace: Trace) -> str: ...


def products(catalog: str) -> list[Product]:
    """The `full` catalogue, or its first four products as a `sample`."""
    rows = json.loads(Path(__file__).with_name("products.json").read_text("utf-8"))
    return [Product(**row) for row in (rows[:4] if catalog == "sample" else rows)]


def listing(wanted: Sequence[Product], inventory: Stock, trace: Trace) -> list[dict[str, Any]]:
    """Each product with its stock; inventory is asked once for all of them."""
    stock = inventory.stock_of([product.id for product in wanted], trace)
    return [{**asdict(product), "stock": stock.get(product.id, 0)} for product in wanted]
