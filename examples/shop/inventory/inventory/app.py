"""The inventory's routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.stock import NotEnough, Stock
from inventory.web import App, HttpError, Request, Response


def build(environment: Mapping[str, str], stock: Stock, **options: Any) -> App:
    """The app that answers for `stock`."""
    app = App({"SERVICE": "inventory", **environment}, **options)

    @app.route("GET", "/stock")
    def levels(request: Request) -> Response:
        ids = [product_id for product_id in request.query.get("ids", "").split(",") if product_id]
        if not ids or len(ids) > 500:
            raise HttpError(422, "name 1 to 500 products in ids, separated by commas")
        return Response({"stock": stock.levels(ids)})

    @app.route("POST", "/reservations")
    def reserve(request: Request) -> Response:
        wanted = request.json()
        product_id, quantity = wanted.get("id"), wanted.get("quantity")
        if not isinstance(product_id, str) or type(quantity) is not int or quantity < 1:
            raise HttpError(422, "send a product's id and a quantity of at least 1")
        try:
            return Response({"reservation": stock.reserve(product_id, quantity)}, 201)
        except NotEnough as error:
            raise HttpError(409, str(error)) from None

    return app
