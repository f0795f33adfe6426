"""The catalogue: python3 catalogue.py PORT SHIM VERSION. Asks the inventory for one list in four and remembers what it said."""
import itertools
import sys

from shop_app import call, serve_json

PRODUCTS = [
    {"id": "1", "name": "Teapot", "price": 24},
    {"id": "2", "name": "Kettle", "price": 39},
    {"id": "3", "name": "Cup", "price": 7},
]
port, shim, version = int(sys.argv[1]), sys.argv[2], sys.argv[3]
asked = itertools.count()
stock = {}


def handle(path, headers):
    parts = path.split("/")
    if len(parts) > 2:
        return next((product for product in PRODUCTS if product["id"] == parts[2]), {})
    if next(asked) % 4 == 0:
        stock.update(call(shim, "inventory:8080", "/stock", headers))
    return {"version": version, "products": PRODUCTS, "stock": stock}


serve_json(port, handle)
