"""The report of one study: what its sections find, draw, and give to their templates."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict

from optuna.trial import TrialState

from storage import attrs
from study import analysis, figures
from study.analysis import tables
from study.analysis.ablation import describe_ablation
from study.analysis.confirmation import describe_confirmation
from study.analysis.correlation import get_correlations
from study.analysis.cost import get_costs
from study.analysis.distribution import get_distribution
from study.analysis.expected_best import get_expected_best
from study.analysis.fidelity import MAX_BEST_PRUNED, get_fidelity, replay_pruners, suggest_pruner
from study.analysis.history import epochs_run, get_history, get_learning_curves, training_seconds
from study.analysis.incumbents import get_incumbents
from study.analysis.isolation import get_isolation
from study.analysis.latents import get_latents
from study.analysis.provenance import get_provenance
from study.analysis.surrogate import MAX_TRIALS, MIN_INTERACTION
from study.analysis.timeline import get_timeline
from study.formats import format_label, plural
from study.metrics import Metric
from study.report.embedded import ReportData, bounded, pack
from study.report.findings import Findings
from study.report.page import Section, render_page, safe_in_script
from study.report.processes import OtherProcesses
from study.report.sentences import get_verdict_text
from study.report.trials import get_columns, get_constants, get_costs_told

CLOSE_ORDER = 0.9  # rank correlation of early errors that order trials like final ones


def render_study(data: ReportData, processes: OtherProcesses | None) -> str:
    """Turn one study and what belongs to it into a page."""
    (record,) = data.studies
    kept = bounded(data)
    found = Findings(data, processes)
    packed = pack(kept)  # while other processes explain
    kind = found.kind
    return render_page(
        "report",
        title=record.name,
        sections=report_sections(found),
        report_data=packed,
        name=record.name,
        command_name=shlex.quote(record.name),
        settings=analysis.settings_of(record),
        kind=kind,
        kind_name=analysis.reference_of(record) or "KIND",
        objective=kind.objective,
        second=kind.second,
        step=format_label(kind.step),
        steps=plural(kind.step),
        further=tuple(metric for metric in kind.metrics[1:] if metric.always),
        images=analysis.data_of(record),
        own=analysis.is_own(record),
        min_accuracy=analysis.min_accuracy_of(record),
        n_objectives=len(record.directions),
        is_search=found.search,
        summary=found.summary,
        verdict=get_verdict_text(found),
        n_held=len(kept.studies[0].trials),
        branch=found.branch,
        front=found.front,
        several_metrics=len(found.metrics) > 1,
        key=chart_key,
    )


def chart_key(section: str, metric: Metric) -> str:
    """Name the chart of a section; that of the objective is named like the section."""
    return section if metric.objective else f"{section}-{metric.name}"


def experiment_key(label: str) -> str:
    """Name the chart of an experiment in the metric with this label."""
    return f"experiment-{label.lower().replace(' ', '-')}"


def report_sections(found: Findings) -> list[Section]:
    """Return the sections of a study's page, in its order."""
    record, kind, data = found.record, found.kind, found.data
    confirmation, ablation = _followups(found)
    further = [*_course(found), *_comparisons(found), _fidelity(found)]
    lists = list(_tables(found))
    mattered = list(_what_mattered(found))  # late, as other processes may still be at it
    sections = [Section("verdict", "Verdict")]
    if found.experiment is not None:
        info = found.experiment
        charts = {experiment_key(x): figures.plot_experiment(info, x) for x in info.labels}
        values = {"experiment": info, "experiment_key": experiment_key}
        sections.append(Section("experiment", "Experiment", values, charts))
    if not found.search:
        sections += [confirmation] if found.confirmations else []
        sections += [ablation] if found.ablations else []
    costs = {"epochs_run": epochs_run, "training_seconds": training_seconds}
    sections += [
        Section("checks", "Checks", {"checks": found.checks}),
        Section("key-numbers", "Key numbers"),
        Section("best-configuration", "Best configuration", costs),
        *([confirmation] if found.search else []),
    ]
    if attrs.RECONSTRUCTIONS_FILE in {file.name for file in kind.files}:
        sections.append(Section("pictures", "Pictures", {"pictures": data.pictures}))
    if data.files:
        sections.append(Section("trial-files", "Pictures of trials", {"trial_files": data.files}))
    sections += [*mattered, *further, *([ablation] if found.search else []), *lists]
    reproduction = {
        "provenance": get_provenance(record),
        "evaluators": [method for section in sections for method in section.methods],
    }
    return [*sections, Section("reproduce", "Reproduce", reproduction)]


def _followups(found: Findings) -> tuple[Section, Section]:
    counted = (cost for cost in found.kind.costs if cost.name == attrs.PARAMETER_COUNT)
    confirmed = {
        "confirmations": found.confirmations,
        "at_home": found.at_home,
        "counted": next(counted, None),
        "describe_confirmation": describe_confirmation,
    }
    means = {
        f"confirmation-{i}": figures.plot_confirmation(info, found.kind)
        for i, info in enumerate(found.confirmations)
        if any(c.validation for c in info.confirmed)
    }
    ablated = {"ablations": found.ablations, "describe_ablation": describe_ablation}
    paths = {
        f"ablation-{i}": figures.plot_ablation(info, found.kind)
        for i, info in enumerate(found.ablations)
        if len(info.path) > 1 and any(step.validation for step in info.path)
    }
    return (
        Section("confirmation", "Confirmation", confirmed, means),
        Section("ablation", "Ablation", ablated, paths),
    )


def _what_mattered(found: Findings) -> Iterator[Section]:
    """Importance, correlations and isolation, by metric."""
    record, kind, metrics = found.record, found.kind, found.explained_metrics
    correlations = [
        get_correlations(record, metric=m, trials=found.data.correlated) for m in metrics
    ]
    isolations = [get_isolation(record, metric=metric) for metric in metrics]
    explained = found.explained
    methods = [
        (info.evaluator, f"region {info.region}; {info.n_resamples} bootstrap resamples")
        for info in explained.importances[:1]
        if info.parameters
    ]
    forests = [branch.surrogate for found in explained.agreements.values() for branch in found]
    for forest in forests[:1]:
        folds = f"{forest.n_repeats} × {forest.n_folds} folds of at most {MAX_TRIALS} trials"
        splits = f"intervals from {forest.n_splits} splits into halves"
        methods.append(("random forest", f"{folds}; {splits}"))
    data: dict[str, object] = {
        "all_importances": explained.importances,
        "within_best": explained.within_best,
        "agreements": explained.agreements,
        "min_interaction": MIN_INTERACTION,
    }
    charts = {
        chart_key("importance", info.metric): figures.plot_importances(info)
        for info in explained.importances
        if info.parameters
    }
    yield Section("importance", "Importance", data, charts, methods)
    charts = {
        chart_key("correlations", info.metric): figures.plot_correlations(info, kind)
        for info in correlations
        if any(p.spearman.value is not None for f in info.families for p in f.parameters)
    }
    data = {"all_correlations": correlations}
    methods = [("correlations", f"{i.n_resamples} bootstrap resamples") for i in correlations[:1]]
    yield Section("correlations", "Correlations", data, charts, methods)
    charts = {
        chart_key("isolation", info.metric): figures.plot_isolation(info, kind)
        for info in isolations
        if info.parameters
    }
    yield Section("isolation", "Isolation plots", {"all_isolations": isolations}, charts)


def _course(found: Findings) -> Iterator[Section]:
    """How the search went."""
    record, kind = found.record, found.kind
    history, curves = get_history(record), get_learning_curves(record)
    charts = {"history": figures.plot_history(history, kind)} if history.valued else {}
    yield Section("history", "History", {"history": history}, charts)
    yield Section("incumbents", "Best so far", {"incumbents": get_incumbents(record)})
    charts = {}
    if curves.curves:
        charts["learning-curves"] = figures.plot_learning_curves(curves, kind)
    if any(curve.seconds for curve in curves.curves):
        charts["learning-curves-seconds"] = figures.plot_learning_curves(curves, kind, by="second")
    yield Section("learning-curves", "Learning curves", {"curves": curves}, charts)
    timeline = get_timeline(record)
    charts = {"timeline": figures.plot_timeline(timeline, kind)} if timeline.spans else {}
    yield Section("timeline", "Timeline", {"timeline": timeline}, charts)
    distribution = get_distribution(record)
    expected = get_expected_best(record) if found.search else None
    data = {"distribution": distribution, "expected_best": expected}
    several = distribution.n_trials > 1
    charts = {"distribution": figures.plot_distribution(distribution, kind)} if several else {}
    yield Section("distribution", "Distribution", data, charts)
    charts, methods = {}, []
    if expected is not None and expected.points:
        charts["expected-best"] = figures.plot_expected_best(expected)
        methods.append(("expected best", f"{expected.n_resamples} bootstrap resamples"))
    data = {"expected_best": expected}
    yield Section("expected-best", "Expected best", data, charts, methods)


def _comparisons(found: Findings) -> Iterator[Section]:
    """What choices came to: families, the trade-off of metrics, what good models cost."""
    record, kind, branch, front = found.record, found.kind, found.branch, found.front
    objective, second = kind.objective, kind.second
    data: dict[str, object]
    if kind.family is not None:
        yield Section("families", "Families", {"families": tables.get_families(record).families})
    if branch is not None:
        differ = analysis.varies(record, branch)
        branches = tables.get_families(record, parameter=branch).families if differ else ()
        yield Section("branches", plural(branch).capitalize(), {"branches": branches})
    if front is not None:
        charts = {"front": figures.plot_front(front, kind)} if front.points else {}
        n_shown = len(figures.shown_front(front))
        data = {"third": analysis.third_of(record), "n_front_shown": n_shown}
        yield Section("trade-off", "Trade-off", data, charts)
    if found.search:
        costs = get_costs(record)
        thinned = any(len(figures.shown_costs(info)) < len(info.points) for info in costs)
        good = "high" if objective.maximise else "low"
        heading = f"Cost of a {good} {analysis.word_for(objective)}"
        data = {"costs": costs, "near": analysis.NEAR, "costs_thinned": thinned}
        charts = {"cost": figures.plot_costs(costs, kind)} if costs else {}
        yield Section("cost", heading, data, charts)
    results = tables.get_class_results(record) if second is not None else None
    if results is not None:
        yield Section("classes", "Classes", {"class_results": results})
    if any(m.name == attrs.LATENT_ATTRIBUTE_AUC and not m.always for m in kind.metrics):
        data = {
            "latents": tuple(filter(None, map(get_latents, (record, *found.data.followups)))),
            "gallery": found.data.gallery,
            "measures_on_request": bool(analysis.measured_on_request(record)),
        }
        yield Section("latent-space", "Latent space", data)


def _fidelity(found: Findings) -> Section:
    if not found.search:
        return Section("fidelity", "Fidelity and pruners")
    fidelity, pruners = get_fidelity(found.record), replay_pruners(found.record)
    data = {
        "fidelity": fidelity,
        "close_order": CLOSE_ORDER,
        "pruners": pruners,
        "suggested": suggest_pruner(pruners),
        "offered": suggest_pruner(pruners, offered=True),
        "max_best_pruned": MAX_BEST_PRUNED,
    }
    charts = {"fidelity": figures.plot_fidelity(fidelity, found.kind)} if fidelity.points else {}
    replayed = f"{pruners.n_replayed} trials in {pruners.n_orders} orders"
    methods = [("replay of pruners", replayed)] if pruners.replays else []
    return Section("fidelity", "Fidelity and pruners", data, charts, methods)


def _tables(found: Findings) -> Iterator[Section]:
    """Trials one by one, and in groups."""
    record = found.record
    groups: dict[str, list[tables.GroupsInfo]] = {}
    for metric in found.metrics:
        for table in tables.get_all_groups(record, metric=metric):
            groups.setdefault(table.parameter, []).append(table)
    top = [tables.get_top_families(record, metric=metric) for metric in found.metrics]
    heading = "Tables of the original" if analysis.is_own(record) else "Tables"
    data = {"top_families": top, "groups": groups, "max_groups": tables.MAX_GROUPS}
    yield Section("tables", heading, data)
    failed = (trial for trial in record.trials if trial.state == TrialState.FAIL)
    failures = [(trial, trial.user_attrs.get(attrs.FAILURE)) for trial in failed]
    yield Section("failures", "Failures", {"failures": failures})
    data = {
        "best_trials": tables.get_best_trials(record),
        "stored": {trial.number: trial for trial in record.trials},
        "costs_told": get_costs_told(record),
    }
    yield Section("best-trials", "Best trials", data)
    reading = {
        "columns": [asdict(column) for column in get_columns(record)],
        "family": found.kind.family,
        "maximise": found.kind.objective.maximise,
    }
    data = {"reading": safe_in_script(json.dumps(reading)), "constants": get_constants(record)}
    yield Section("trials", "All trials", data)
