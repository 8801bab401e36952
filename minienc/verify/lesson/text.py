"""A report for a terminal."""

from __future__ import annotations

from minienc.verify.findings import FAIL, PASS, Findings, TensorResult

RELATIVE_ERROR = "relative error = |yours - numeric| / max(|yours|, |numeric|)"


def as_text(report: Findings) -> str:
    """The verdict first, then what is wrong and where, then what was covered."""
    lines = [f"{report.verdict.upper()}  {report.title}"]
    if report.problems and report.numbers == PASS:
        lines.append("  its numbers are right here; it breaks a law:")
    lines += [f"  ! {problem}" for problem in report.problems]
    lines += [f"  {'; '.join(report.left_out)}"] if report.left_out else []
    for tensor in report.tensors:
        lines += _tensor_lines(tensor) if tensor.verdict != PASS else []
    lines += [
        f"  {name} was not checked: it {why}; if it has no gradient, say stop_gradient={name!r}"
        f" (--stop-gradient {name})"
        for name, why in report.unchecked.items()
    ]
    if not any(t.checked for t in report.tensors):
        lines.append("  nothing was checked: there is no number to differentiate by")
    lines += ["", _table(report.tensors)] if report.tensors else []
    lines += [f"  note: {note}" for note in report.notes]
    lines += [*_oracle_lines(report), f"  {RELATIVE_ERROR}", *power_lines(report)]
    lines.append(f"  {report.evaluations:,} evaluations in {report.seconds:.2f} s")
    return "\n".join(lines)


def _oracle_lines(report: Findings) -> list[str]:
    """What each second opinion said, tensor by tensor, or why it had none."""
    lines = []
    for name, reason in report.oracles.items():
        said = {t.name: t.oracles[name] for t in report.tensors if name in t.oracles}
        gaps = [gap for gap in said.values() if not isinstance(gap, str)]
        if reason:
            lines.append(f"  {name}: not used, {reason}")
        elif gaps:
            agreed = ", ".join(t for t, gap in said.items() if not isinstance(gap, str))
            lines.append(f"  {name}: {agreed} off by at most {max(gaps):.0e} of the largest")
        lines += [f"  {name}: {t}, {gap}" for t, gap in said.items() if isinstance(gap, str)]
    return lines


def power_lines(report: Findings) -> list[str]:
    if not report.mutants:
        return []
    text = f"  of {report.mutants} planted mistakes this check would notice {report.mutants_caught}"
    if report.mutants_missed:
        shown = report.mutants_missed[:3]
        more = len(report.mutants_missed) - len(shown)
        text += f", not {'; '.join(shown)}" + (f" and {more} more" if more else "")
    if report.miss_probability:
        text += (
            f"\n  an error of one per cent of a large gradient escapes its directions with "
            f"probability {report.miss_probability:.0e}"
        )
    return [text]


def _tensor_lines(t: TensorResult) -> list[str]:
    lines = [f"  {t.name} {t.shape}: {t.reason}"]
    lines += [f"    likely: {sentence}" for sentence in t.diagnosis]
    if t.verdict == FAIL and t.wrong:
        lines.append(
            f"    {'index':<14}{'yours':>14}{'numeric':>14}{'± at most':>11}{'rel. error':>12}"
        )
        for e in t.wrong[:5]:
            where = str(list(e.index)) if e.index else "a direction"
            lines.append(
                f"    {where:<14}{e.yours:>14.6g}{e.numeric:>14.6g}{e.uncertainty:>11.1e}"
                f"{e.relative_error:>12.1e}"
            )
    return lines


def _table(tensors: list[TensorResult]) -> str:
    width = max(8, *(len(t.name) for t in tensors))
    rows = [
        f"  {'tensor':<{width}}  {'shape':<14} {'checked':<16} {'touched':>7}  {'Taylor':<9}"
        f"  verdict"
    ]
    for t in tensors:
        checked = f"{t.checked} {t.method}"
        redrawn = " and so redrawn" if t.n_redrawn else ""
        kinks = f", {t.n_kinks} at a kink{redrawn}" if t.n_kinks else ""
        floor = f", {t.n_below_floor} below the noise" if t.n_below_floor else ""
        compared = t.precision_error is not None and t.verdict != FAIL
        precision = f", precision error {t.precision_error:.0e}" if compared else ""
        rows.append(
            f"  {t.name:<{width}}  {t.shape!s:<14} {checked:<16} {t.touched:>7.0%}  "
            f"{'' if t.taylor is None else str(t.taylor):<9}  {t.word}{kinks}{floor}{precision}"
        )
    return "\n".join(rows)
