"""Statistics of samples: quantiles, and how sure a mean is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t, two-sided 95 %, by degrees of freedom from 1 on."""
_NORMAL_975 = 1.96


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least this share of them do not exceed."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean of independent samples."""

    mean: float
    margin: float
    """Half of the 95 % confidence interval; NaN if there is only one sample."""

    @property
    def least(self) -> float:
        """Lower end of the interval; the mean itself if there is no interval."""
        return self.mean if math.isnan(self.margin) else self.mean - self.margin


def estimate(samples: Sequence[float]) -> Estimate:
    """Return the mean of at least one sample, with Student's confidence interval."""
    mean = statistics.fmean(samples)
    degrees = len(samples) - 1
    if degrees == 0:
        return Estimate(mean=mean, margin=math.nan)
    t = _T_975[degrees - 1] if degrees <= len(_T_975) else _NORMAL_975
    return Estimate(mean=mean, margin=t * statistics.stdev(samples) / math.sqrt(len(samples)))
