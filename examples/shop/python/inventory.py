"""The slow dependency: python3 inventory.py PORT."""
import random
import sys
import time

from shop_app import serve_json


def handle(_path, _headers):
    time.sleep(0.12 + 0.18 * random.random() ** 2)
    return {"1": 12, "2": 3, "3": 140}


serve_json(int(sys.argv[1]), handle)
