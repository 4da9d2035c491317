"""The storefront's routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storefront.catalog import Product, Stock, listing
from storefront.web import App, HttpError, Request, Response


def build(environment: Mapping[str, str], products: Sequence[Product], inventory: Stock, **options: Any) -> App:
    """The app that sells `products` out of what `inventory` holds."""
    app = App({"SERVICE": "storefront", **environment}, **options)
    by_id = {product.id: product for product in products}

    @app.route("GET", "/")
    def index(request: Request) -> Response:
        return Response({"products": listing(products, inventory, request.trace)})

    @app.route("GET", "/products/{id}")
    def show(request: Request) -> Response:
        return Response(listing([_product(by_id, request.params["id"])], inventory, request.trace)[0])

    @app.route("POST", "/order")
    def order(request: Request) -> Response:
        wanted = request.json()
        product = _product(by_id, str(wanted.get("id", "")))
        quantity = wanted.get("quantity", 1)
        if type(quantity) is not int or not 1 <= quantity <= 100:
            raise HttpError(422, f"quantity {quantity!r} is not a whole number from 1 to 100")
        reservation = inventory.reserve(product.id, quantity, request.trace)
        total = product.price_cents * quantity
        return Response({"order": reservation, "id": product.id, "quantity": quantity, "total_cents": total}, 201)

    return app


def _product(by_id: Mapping[str, Product], product_id: str) -> Product:
    if product_id not in by_id:
        raise HttpError(404, f"no product {product_id!r}")
    return by_id[product_id]
