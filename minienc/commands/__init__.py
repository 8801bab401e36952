"""The commands of ``minienc``, with their options; what they do is imported when they run."""
