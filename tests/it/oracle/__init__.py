"""An independent judge of reports, written from docs/judgement.md, docs/rules.md, docs/formats.md and docs/numbers.md alone.

The end-to-end tests compare the engine with it at rest. It is slow, keeps everything in memory and shares no line with the
engine; where both agree, the documents were enough to build from.
"""
