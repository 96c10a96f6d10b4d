"""A made-up mobile payment centre of the medical insurance on loopback: real seals, real sums, its own books.

``build(World(keys, people, now))`` is the ASGI app; ``control`` says what the patient's phone and the puppeteer can do,
``behave`` how it misbehaves, ``rules`` what it pays. WeChat's side settles an order with ``world.pay(order)`` and
``world.cash(order)``.
"""

from sandbox.insurance.app import build
from sandbox.insurance.books import Person
from sandbox.insurance.keys import InsuranceKeys
from sandbox.insurance.rules import Rules
from sandbox.insurance.wire import Dialect, Refusal
from sandbox.insurance.world import World

__all__ = ["Dialect", "InsuranceKeys", "Person", "Refusal", "Rules", "World", "build"]
