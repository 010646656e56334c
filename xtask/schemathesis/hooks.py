"""What a JSON Schema cannot say about a request that is right, put right before it is sent.

What the description forbids stays as it was made: it has to be refused.
"""

import json
import os
import re
import uuid

import schemathesis

# Ids of the catalogue, which xtask fills with more products than an order may have lines.
PRODUCTS = json.loads(os.environ["API_PRODUCTS"])
LONGEST_ID = 200
# Others may be of nobody. An order that cannot be sent waits for a person, and so does who follows its events.
DELIVERABLE = "97201"


@schemathesis.hook
def before_call(context, case, kwargs):
    as_described(case.query, "cursor", "([0-9a-f]{2})+", drop)
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key":
            as_described(case.headers, name, "[!-~]{1,255}", renew)
    if isinstance(case.body, dict):
        order(case.body)


def as_described(values, name, pattern, change):
    """Changes what has the described form."""
    if values and re.fullmatch(pattern, str(values.get(name, ""))):
        change(values, name)


def drop(values, name):
    """A cursor is opaque: one that only looks like one was never given out."""
    del values[name]


def renew(values, name):
    """A key that was used for another request is refused, so each request has a key of its own."""
    values[name] = str(uuid.uuid4())


def deliverable(values, name):
    values[name] = DELIVERABLE


def order(body):
    """Lines are of products that there are, each of another one."""
    lines = body.get("items")
    for number, line in enumerate(lines if isinstance(lines, list) else []):
        product = line.get("productId") if isinstance(line, dict) else None
        if isinstance(product, str) and 1 <= len(product) <= LONGEST_ID:
            line["productId"] = PRODUCTS[number % len(PRODUCTS)]
    if isinstance(body.get("shipping"), dict):
        as_described(body["shipping"], "zip", "[0-9]{5}(-[0-9]{4})?", deliverable)
