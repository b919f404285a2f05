"""Training data from trajectories. Imports types only: a trainer needs neither HTTP nor environments."""

from verifiers_tito.datums.build import DatumSet, Split, build_datums
from verifiers_tito.datums.datum import Datum
from verifiers_tito.datums.jsonl import read_datums, write_datums

__all__ = ["Datum", "DatumSet", "Split", "build_datums", "read_datums", "write_datums"]
