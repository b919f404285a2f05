"""Where authors import `load_environment` from; it is defined in `envs.loading`."""

from verifiers_tito.envs.loading import load_environment

__all__ = ["load_environment"]
