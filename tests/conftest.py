"""What holds for every test: how long a property takes is not what it says."""

from hypothesis import settings

settings.register_profile("minienc", deadline=None)
settings.load_profile("minienc")
