"""The storefront's routes, with an inventory that lives in memory."""

import io
import json
import unittest

from storefront.app import build
from storefront.catalog import products
from storefront.web import HttpError


class Shelf:
    """An inventory in memory."""

    def __init__(self, stock):
        self.stock = dict(stock)
        self.traces = []

    def stock_of(self, ids, trace):
        self.traces.append(trace)
        return {product_id: self.stock[product_id] for product_id in ids if product_id in self.stock}

    def reserve(self, product_id, quantity, trace):
        if self.stock.get(product_id, 0) < quantity:
            raise HttpError(409, "not enough")
        self.stock[product_id] -= quantity
        return "res_1"


class ShopTest(unittest.TestCase):
    def setUp(self):
        self.shelf = Shelf({"assam": 7, "sencha": 2})
        self.log = io.StringIO()
        self.app = build({"VERSION": "abc123"}, products("full"), self.shelf, log_to=self.log)

    def order(self, **wanted):
        return self.app.answer("POST", "/order", body=json.dumps(wanted).encode())

    def test_the_page_lists_each_product_with_its_stock(self):
        answer = self.app.answer("GET", "/")
        stock = {product["id"]: product["stock"] for product in answer.value["products"]}
        self.assertEqual(24, len(stock))
        self.assertEqual((7, 2, 0), (stock["assam"], stock["sencha"], stock["mate"]))

    def test_a_sample_catalogue_is_short(self):
        self.assertEqual(4, len(products("sample")))

    def test_a_product(self):
        answer = self.app.answer("GET", "/products/assam")
        self.assertEqual({"id": "assam", "name": "Assam Golden Tips", "price_cents": 1090, "stock": 7}, answer.value)

    def test_an_unknown_product_is_not_found(self):
        self.assertEqual(404, self.app.answer("GET", "/products/coffee").status)

    def test_an_order_takes_stock_and_adds_up(self):
        answer = self.order(id="assam", quantity=3)
        self.assertEqual((201, 3270), (answer.status, answer.value["total_cents"]))
        self.assertEqual(4, self.shelf.stock["assam"])

    def test_an_order_of_too_many_is_refused(self):
        self.assertEqual(409, self.order(id="assam", quantity=8).status)

    def test_an_order_must_make_sense(self):
        self.assertEqual(422, self.order(id="assam", quantity=0).status)
        self.assertEqual(422, self.order(id="assam", quantity=True).status)
        self.assertEqual(404, self.order(id="coffee").status)
        self.assertEqual(400, self.app.answer("POST", "/order", body=b"{").status)
        self.assertEqual(400, self.app.answer("POST", "/order", body=b"[]").status)

    def test_the_trace_of_the_caller_goes_on(self):
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        self.app.answer("GET", "/", f"00-{trace_id}-00f067aa0ba902b7-01")
        self.assertEqual(trace_id, self.shelf.traces[0].trace_id)
        self.assertEqual(trace_id, json.loads(self.log.getvalue())["trace_id"])

    def test_a_malformed_trace_is_replaced(self):
        self.app.answer("GET", "/", "00-zz-1-01")
        self.assertRegex(self.shelf.traces[0].trace_id, "^[0-9a-f]{32}$")

    def test_wrong_path_and_wrong_method(self):
        self.assertEqual(404, self.app.answer("GET", "/nothing").status)
        self.assertEqual(405, self.app.answer("POST", "/").status)

    def test_health_names_the_version(self):
        self.assertEqual({"status": "ok", "version": "abc123"}, self.app.answer("GET", "/health").value)

    def test_metrics_count_and_measure(self):
        self.app.answer("GET", "/")
        self.app.answer("GET", "/products/coffee")
        text = self.app.answer("GET", "/metrics").value.decode()
        self.assertIn('http_requests_total{method="GET",path="/",code="200"} 1', text)
        self.assertIn('http_requests_total{method="GET",path="/products/{id}",code="404"} 1', text)
        self.assertIn('http_request_duration_seconds_bucket{method="GET",path="/",le="+Inf"} 1', text)
        self.assertIn('build_info{version="abc123"} 1', text)


if __name__ == "__main__":
    unittest.main()
