"""What an encoder and a decoder are for: translation and summaries, from pairs of texts.

Translator(source="en", target="fr").fit(english, french).predict(["a man rides a horse"])
"""

from minienc.tasks.seq2seq import TASKS, Summarizer, Translator
from minienc.tasks.start import Start

__all__ = ["TASKS", "Start", "Summarizer", "Translator"]
