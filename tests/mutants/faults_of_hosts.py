"""Faults in what hosts know of each other, and in what is asked of them."""

from __future__ import annotations

from mutants.planting import Fault

_MEMBERSHIP = ("tests/core/test_membership.py", "tests/actors/test_hosts_actor.py")
_INQUIRY = ("tests/core/test_inquiry.py", "tests/actors/test_hosts_actor.py")
_SELECTOR = ("tests/core/test_host_selector.py",)
_CONVENTION = ("tests/system/test_convention_stall.py",)
_RECORDS = ("tests/actors/test_records.py",)

FAULTS_OF_HOSTS = (
    Fault(
        name="hosts: every greeting is news",
        file="core/membership.py",
        old="None if was_there else after",
        new="after",
        tests=_MEMBERSHIP,
    ),
    Fault(
        name="hosts: a root that was replaced is not taken",
        file="core/membership.py",
        old="root=None if trouble else capabilities.get(ROOT),",
        new="root=None if trouble else before.root or capabilities.get(ROOT),",
        tests=_MEMBERSHIP,
    ),
    Fault(
        name="inquiry: a silent host is waited for without end",
        file="core/inquiry.py",
        old="return not self.awaited or now >= self.deadline",
        new="return not self.awaited",
        tests=_INQUIRY,
    ),
    Fault(
        name="inquiry: a lost host is waited for",
        file="actors/hosts.py",
        old="replace(asked, inquiry=inquiry.without(asked.inquiry, name))",
        new="asked",
        tests=_INQUIRY,
    ),
    Fault(
        name="inquiry: an answer that comes late is shown as the present one",
        file="actors/hosts.py",
        old="is_current=host.name in answers",
        new="is_current=host.name in self._trees",
        tests=_INQUIRY,
    ),
    Fault(
        name="selector: a lost host's member is commanded",
        file="core/host_selector.py",
        old="if members and meant[each].is_reachable}",
        new="if members}",
        tests=_SELECTOR,
    ),
    Fault(
        name="selector: a host that was never heard has nobody",
        file="core/host_selector.py",
        old="(found[each] or meant[each].members is None)]",
        new="found[each]]",
        tests=_SELECTOR,
    ),
    Fault(
        name="convention: a host that stood still takes the others for lost",
        file="system/convention.py",
        old="            self._pardon(now)\n",
        new="            pass\n",
        tests=_CONVENTION,
    ),
    Fault(
        name="convention: who is silent is pardoned again and again",
        file="system/convention.py",
        old="member.is_pardoned = True",
        new="member.is_pardoned = False",
        tests=_CONVENTION,
    ),
    Fault(
        name="records: what does not fit is not said to be missing",
        file="actors/records.py",
        old="is_cut=len(kept) < len(lines),",
        new="is_cut=False,",
        tests=_RECORDS,
    ),
    Fault(
        name="records: events that were not read are not said to be missing",
        file="actors/records.py",
        old="is_cut=has_too_many or lacks_some)",
        new="is_cut=has_too_many)",
        tests=_RECORDS,
    ),
)
