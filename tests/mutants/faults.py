"""All faults that are planted."""

from __future__ import annotations

from mutants.faults_of_actors import FAULTS_OF_ACTORS
from mutants.faults_of_hosts import FAULTS_OF_HOSTS
from mutants.faults_of_members import FAULTS_OF_MEMBERS
from mutants.faults_of_supervision import FAULTS_OF_SUPERVISION
from mutants.faults_of_the_registry import FAULTS_OF_THE_REGISTRY
from mutants.faults_of_user_actors import FAULTS_OF_USER_ACTORS

FAULTS = (
    *FAULTS_OF_MEMBERS,
    *FAULTS_OF_SUPERVISION,
    *FAULTS_OF_THE_REGISTRY,
    *FAULTS_OF_ACTORS,
    *FAULTS_OF_HOSTS,
    *FAULTS_OF_USER_ACTORS,
)
