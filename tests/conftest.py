"""What holds for every test: how long a property takes is not what it says."""

from hypothesis import HealthCheck, settings

settings.register_profile("minienc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("minienc")
