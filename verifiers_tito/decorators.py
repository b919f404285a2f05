"""Where authors import the marks of methods from; they are defined in `envs.decorators`."""

from verifiers_tito.envs.decorators import cleanup, stop, teardown

__all__ = ["cleanup", "stop", "teardown"]
