"""Step through a training step: record it, replay each line, and show it on a page."""
