"""Inventory's routes over a stock file of their own."""

import io
import json
import tempfile
import threading
import unittest
from pathlib import Path

from inventory.app import build
from inventory.stock import NotEnough, Stock


class InventoryTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "stock.sqlite"
        self.stock = Stock(self.file, gather_seconds=0.001)
        self.addCleanup(lambda: self.stock.close())
        self.app = build({}, self.stock, log_to=io.StringIO())

    def reserve(self, **wanted):
        return self.app.answer("POST", "/reservations", body=json.dumps(wanted).encode())

    def level(self, product_id):
        return self.stock.levels([product_id])[product_id]

    def test_levels_of_many_products_in_one_answer(self):
        answer = self.app.answer("GET", "/stock?ids=darjeeling,assam,coffee")
        self.assertEqual({"darjeeling": 40000, "assam": 40500, "coffee": 0}, answer.value["stock"])

    def test_a_question_without_products_is_refused(self):
        self.assertEqual(422, self.app.answer("GET", "/stock").status)

    def test_a_reservation_takes_pieces_out(self):
        answer = self.reserve(id="assam", quantity=500)
        self.assertEqual(201, answer.status)
        self.assertRegex(answer.value["reservation"], "^res_[0-9a-f]{32}$")
        self.assertEqual(40000, self.level("assam"))

    def test_more_than_there_is_is_refused_and_changes_nothing(self):
        self.assertEqual(409, self.reserve(id="assam", quantity=40501).status)
        self.assertEqual(40500, self.level("assam"))

    def test_a_reservation_must_make_sense(self):
        for wanted in ({}, {"id": "assam"}, {"id": "assam", "quantity": 0}, {"id": 4, "quantity": 1}):
            self.assertEqual(422, self.reserve(**wanted).status)

    def test_reopening_keeps_what_was_taken(self):
        self.stock.reserve("assam", 500)
        self.stock.close()
        self.stock = Stock(self.file, gather_seconds=0.001)
        self.assertEqual(40000, self.level("assam"))

    def test_the_last_piece_goes_to_one_of_many(self):
        self.stock.reserve("assam", 40499)
        refused = []

        def take():
            try:
                self.stock.reserve("assam", 1)
            except NotEnough:
                refused.append(1)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(3, len(refused))
        self.assertEqual(0, self.level("assam"))

    def test_two_processes_may_have_the_file_open(self):
        other = Stock(self.file, gather_seconds=0.001)
        self.addCleanup(other.close)
        other.reserve("assam", 100)
        self.assertEqual(40400, self.level("assam"))


if __name__ == "__main__":
    unittest.main()
