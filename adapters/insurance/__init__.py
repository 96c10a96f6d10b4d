"""Our line to the mobile payment centre of the medical insurance: bills in, splits and states out, refunds, notices.

``InsuranceClient(InsuranceSettings(...), clock)`` implements ``payments.ports.InsuranceCenter``.
"""

from adapters.insurance.authorize import UserQuerySettings
from adapters.insurance.client import InsuranceClient, InsuranceSettings
from adapters.insurance.envelope import Access, NestedOrder, Province, Wrapping

__all__ = [
    "Access",
    "InsuranceClient",
    "InsuranceSettings",
    "NestedOrder",
    "Province",
    "UserQuerySettings",
    "Wrapping",
]
