"""
Exercise 30: a few labels, and what may be looked at
====================================================

Does pretraining help where only a few samples have a label? The answer is a difference of two
accuracies: that of the pretrained network minus that of the same network from random weights, the
plain one. The two are called the arms of the study. The answer is worth what its protocol is worth:

1. The samples are split in three. Training: here weights and all statistics are learned.
   Validation: here settings are chosen. Test: here the final accuracy is read, once. No sample is
   in two of them. The labels of the validation samples are labels that somebody had to pay, too.
2. What is computed of data before the training, as the mean of each feature, is computed without
   the validation and test samples, and used for all. Samples outside of the three sets, which
   nobody has labelled, may serve for it.
3. Both arms get the same: the same splits, the same seeds, the same number of settings to choose
   from.
4. The choice is made for each arm on validation alone. Then the test accuracies of what was chosen
   are compared, seed by seed, beside how uncertain their difference is.

**On paper first.** A network that has learned nothing guesses right in half of the cases. You train
ten of them, which differ in a setting that has no effect, test each on 20 samples, and report the
best test accuracy. Will it be one half on average, more, or less? And what if the best is found on
20 other samples?

Then: three seeds give the accuracies a1, a2, a3 without pretraining and b1, b2, b3 with it. A split
with hard test samples makes a and b lower together. Write down the variance of the differences
b - a by the variances of a and of b and their covariance. Which is smaller, the variance if each
seed is used for both, or if each arm has seeds of its own?
"""

import numpy as np

# %%
# **What may be looked at.** Six things are planned. Which of them does the protocol allow? Answer
# with a list of their numbers, in ascending order.
#
# 1. An autoencoder is pretrained on the training samples without their labels, and on samples that
#    are in none of the three sets, and that nobody has labelled.
# 2. The mean of each feature is taken over all samples, those of the test, too: no label is used.
# 3. The number of epochs is the one with the best validation accuracy.
# 4. The test accuracy of one seed is bad, so this seed is replaced by another.
# 5. Both arms are trained on the same few labels.
# 6. The learning rate of the pretrained network is chosen from ten, that of the plain one is the
#    usual one.

### BEGIN SOLUTION
allowed = [1, 3, 5]
### END SOLUTION

# %%
# The split. Make one generator, `np.random.default_rng(seed)`. Go through the classes, the smallest
# label first: `rng.permutation(rows)` puts the rows of the class in an order. The first `per_class`
# of them are for training, the next `per_class` for validation, the others for the test. Of each of
# the three sets, return one array of row numbers, class after class.


def split(labels, per_class, seed):
    """labels (N,) of int, per_class, seed -> the rows for training, validation, test."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    train, validation, test = [], [], []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        train.append(rows[:per_class])
        validation.append(rows[per_class : 2 * per_class])
        test.append(rows[2 * per_class :])
    train, validation, test = map(np.concatenate, (train, validation, test))
    ### END SOLUTION
    return train, validation, test


# %%
# The scaling: each feature gets the mean 0 and the standard deviation 1 over the rows where that
# may be measured (the mean of the squared deviations is 1 there). All rows of x are returned.


def standardize(x, train):
    """x (N, D), train (K,) row numbers -> x (N, D), scaled."""
    ### BEGIN SOLUTION
    seen = x[train]
    scaled = (x - seen.mean(axis=0)) / seen.std(axis=0)
    ### END SOLUTION
    return scaled


# %%
# The runs. `run(arm, setting, seed)` splits, scales, trains and returns a validation accuracy and a
# test accuracy; everything that is drawn in it comes from the seed. `arm` is "plain" or
# "pretrained". Return both accuracies of all runs, the plain arm first.


def all_runs(run, settings, seeds):
    """C settings, K seeds -> validation accuracies (2, C, K), test accuracies (2, C, K)."""
    ### BEGIN SOLUTION
    arms = "plain", "pretrained"
    both = np.array([[[run(a, c, seed) for seed in seeds] for c in settings] for a in arms])
    validation, test = both[..., 0].copy(), both[..., 1].copy()
    ### END SOLUTION
    return validation, test


# %%
# The report: of each arm the place of the setting whose mean over the seeds is the best, measured
# where choices are made; the gain in test accuracy by pretraining, for each seed; its mean; and the
# standard error of this mean, which is the standard deviation of the gains (the squares divided by
# K - 1) over the root of K.


def report(validation, test):
    """validation, test (2, C, K) -> chosen (2,) of int, gain (K,), its mean, its error."""
    ### BEGIN SOLUTION
    chosen = validation.mean(axis=2).argmax(axis=1)
    gain = test[1, chosen[1]] - test[0, chosen[0]]
    mean = gain.mean()
    error = gain.std(ddof=1) / len(gain) ** 0.5
    ### END SOLUTION
    return chosen, gain, mean, error


# %%
# **Predict 1.** Two networks guess: each is right with probability 1/2. The test has one sample, so
# a test accuracy is 0 or 1. The better of the two is reported. What is reported on average?

### BEGIN SOLUTION
predict_1 = 0.75
### END SOLUTION

# %%
# **Predict 2.** Three seeds: 0.5, 0.7, 0.9 without pretraining, and 0.6, 0.8, 1.0 with it. What is
# the standard error of the mean gain?

### BEGIN SOLUTION
predict_2 = 0.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Code, Function

# both accuracies depend on the arm, the setting and the seed; another name of an arm is an error
RUN = """lambda arm, setting, seed: (
    0.5 + 0.4 * np.sin({"plain": 1, "pretrained": 2}[arm] * setting + seed),
    0.5 + 0.4 * np.cos({"plain": 1, "pretrained": 2}[arm] + 3 * setting - 2 * seed),
)"""


def samples(rng, N, C, P):
    labels = np.repeat(np.arange(C), 2 * P + N) * 3 + 1
    return rng.permutation(labels), P, int(rng.integers(1000))


def features(rng, N, D, K):
    x = rng.standard_normal((N + K, D)) * 3 + rng.standard_normal(D)
    return x, rng.permutation(N + K)[:K]


def plan(rng, C, K):
    return Code(RUN), rng.uniform(0.1, 3, C).tolist(), rng.permutation(50)[:K].tolist()


def accuracies(rng, C, K):
    """Other settings are the best by mean, by median, by test, and by the best seed."""
    validation, test = rng.uniform(0.5, 0.55, (2, C, K)), rng.uniform(0.5, 0.7, (2, C, K))
    for arm in (0, 1):
        by_mean, by_median, by_test, by_seed = rng.permutation(C)[:4]
        validation[arm, by_mean] += 0.2
        validation[arm, by_median] += 0.27
        validation[arm, by_median, rng.integers(K)] = 0.2
        validation[arm, by_seed] -= 0.2
        validation[arm, by_seed, rng.integers(K)] = 0.95
        test[arm, by_test] += 0.3
    return validation, test


CASES = [
    Function("split", samples, "train validation test", P=(1, 4), C=(2, 4), dtype=False),
    Function("standardize", features, "scaled", N=(3, 6), K=(4, 7)),
    Function("all_runs", plan, "validation test", dtype=False),
    Function("report", accuracies, "chosen gain mean error", K=(3, 5), C=(4, 6), dtype=False),
]

POINTS = {"forward": 75, "laws": 10, "predictions": 15}

ANSWERS = {
    "allowed": "Ask of each: does something that is learned or chosen depend on the test samples? "
    "And does one arm get more than the other?",
    "predict_1": "There are four cases, all as likely. In how many of them is the better one 0?",
    "predict_2": "What is the gain of each seed? How much do the three differ?",
}


def guesses():
    cases = [(a, b) for a in (0, 1) for b in (0, 1)]
    return sum(map(max, cases)) / len(cases)


def error_of_three():
    test = np.array([[[0.5, 0.7, 0.9]], [[0.6, 0.8, 1.0]]])
    return round(float(report(test, test)[3]), 9)


PROOFS = {"predict_1": guesses, "predict_2": error_of_three}


def all_classes_together(labels, per_class, seed):
    order = np.random.default_rng(seed).permutation(len(labels))
    k = per_class * len(np.unique(labels))
    return order[:k], order[k : 2 * k], order[2 * k :]


def each_set_by_itself(x, train):
    scaled, others = np.empty_like(x), np.setdiff1d(np.arange(len(x)), train)
    for rows in (train, others):
        scaled[rows] = (x[rows] - x[rows].mean(axis=0)) / x[rows].std(axis=0)
    return scaled


def chosen_for_each_seed(validation, test):
    anew = np.take_along_axis(test, validation.argmax(axis=1)[:, None], axis=1)[:, 0]
    gain = anew[1] - anew[0]
    chosen = validation.mean(axis=2).argmax(axis=1)
    return chosen, gain, gain.mean(), gain.std(ddof=1) / len(gain) ** 0.5


MISTAKES = {
    "the mean of all is allowed": (
        {"allowed": [1, 2, 3, 5]},
        "The second plan uses no label, and yet what is learned depends on the test samples. Could "
        "it be done if these came a year later?",
    ),
    "pretraining is forbidden": (
        {"allowed": [3, 5]},
        "You forbid one plan too many. Which of them touches neither a label nor a sample of "
        "validation or test?",
    ),
    "a seed may be replaced": (
        {"allowed": [1, 3, 4, 5]},
        "A seed that is thrown away for its test accuracy is a choice. On which samples is it "
        "made?",
    ),
    "one arm may be tuned": (
        {"allowed": [1, 3, 5, 6]},
        "In the last plan one arm has ten chances and the other has one. What would be measured?",
    ),
    "validation in training": (
        ("rows[:per_class]", "rows[: 2 * per_class]"),
        "Your training set holds the validation samples. A network that has learned these by heart "
        "would be chosen for it.",
    ),
    "test in validation": (
        ("rows[per_class : 2 * per_class]", "rows[per_class:]"),
        "All samples that are not in your training set are in your validation set, those of the "
        "test, too.",
    ),
    "validation in the test": (
        ("rows[2 * per_class :]", "rows[per_class:]"),
        "Your test set holds the validation samples: the settings were chosen to suit them.",
    ),
    "the same rows for all seeds": (
        ("rng.permutation(np.flatnonzero(labels == label))", "np.flatnonzero(labels == label)"),
        "You take the rows as they lie. Another seed should give other samples.",
    ),
    "a generator for each class": (
        ("rng.permutation(np.flat", "np.random.default_rng(seed).permutation(np.flat"),
        "You make a generator for each class, so classes of one size are put in the same order. "
        "The text asks for one.",
    ),
    "classes not kept apart": (
        {"split": all_classes_together},
        "You put all samples in one order. With a few labels, a class may then be missing from "
        "your training set altogether.",
    ),
    "sorted rows": (
        ("map(np.concatenate, (", "map(lambda rows: np.sort(np.concatenate(rows)), ("),
        "Your sets hold the right rows, and you have sorted them. The text asks for class after "
        "class, as they were drawn.",
    ),
    "labels for rows": (
        ("np.flatnonzero(labels == label)", "labels[labels == label]"),
        "Your sets hold labels. The text asks where the samples stand.",
    ),
    "all samples in the scaling": (
        ("seen = x[train]", "seen = x"),
        "Your mean and deviation are taken over all samples, those of the test, too. Which may be "
        "looked at?",
    ),
    "each set by itself": (
        {"standardize": each_set_by_itself},
        "You measure the other rows by their own mean and deviation. Then the same sample would be "
        "another input in the test than in training; and what if the test were one sample?",
    ),
    "the deviation of another kind": (
        ("seen.std(axis=0)", "seen.std(axis=0, ddof=1)"),
        "Your deviation divides the squares by one less than there are rows. The text wants it to "
        "be 1 over these rows, no more.",
    ),
    "one scale for all features": (
        ("(x - seen.mean(axis=0)) / seen.std(axis=0)", "(x - seen.mean()) / seen.std()"),
        "You have one mean and one deviation for all features. Each should have its own.",
    ),
    "the variance for the deviation": (
        ("seen.std(axis=0)", "seen.var(axis=0)"),
        "You divide by the variance. After it, is the deviation 1?",
    ),
    "arms with other seeds": (
        ("run(a, c, seed)", 'run(a, c, seed + len(seeds) * (a == "pretrained"))'),
        "The runs of your pretrained arm have other seeds than those that were given. Then the "
        "arms see other samples, and their difference holds this, too.",
    ),
    "seeds counted from 0": (
        ("run(a, c, seed)", "run(a, c, seeds.index(seed))"),
        "You hand over the places of the seeds. A run wants the seed itself.",
    ),
    "the plain arm is not tuned": (
        ("run(a, c, seed)", 'run(a, settings[0] if a == "plain" else c, seed)'),
        "Your plain arm has the first setting in all of its runs. It should choose from as many as "
        "the other.",
    ),
    "validation and test exchanged": (
        ("both[..., 0].copy(), both[..., 1].copy()", "both[..., 1].copy(), both[..., 0].copy()"),
        "Your validation accuracies are the test's. Which of the two does `run` return first?",
    ),
    "the pretrained arm first": (
        ('"plain", "pretrained"', '"pretrained", "plain"'),
        "Your arms stand in each other's places: the text says which comes first.",
    ),
    "chosen on the test": (
        ("validation.mean(axis=2)", "test.mean(axis=2)"),
        "Your settings are the best of the test. Then the test accuracy is the best of several, "
        "and promises more than new samples will keep.",
    ),
    "chosen by the best seed": (
        ("validation.mean(axis=2)", "validation.max(axis=2)"),
        "Your settings are those with the single best run. One lucky seed decides then; what does "
        "the text compare?",
    ),
    "chosen by the median": (
        ("validation.mean(axis=2)", "np.median(validation, axis=2)"),
        "Your settings are the best by the median, which does not hear a single bad run. What does "
        "the text compare?",
    ),
    "chosen for each seed": (
        {"report": chosen_for_each_seed},
        "You test another setting for each seed, the one that was best there. An arm has one "
        "setting, which all its seeds have chosen together.",
    ),
    "one choice for both arms": (
        ("test[1, chosen[1]] - test[0, chosen[0]]", "test[1, chosen[1]] - test[0, chosen[1]]"),
        "You test the plain arm with the setting that suits the pretrained one.",
    ),
    "the gain in validation": (
        (
            "test[1, chosen[1]] - test[0, chosen[0]]",
            "validation[1, chosen[1]] - validation[0, chosen[0]]",
        ),
        "Your gain is one in validation accuracy. The settings were chosen to be good there; where "
        "is the final accuracy read?",
    ),
    "the gain's sign": (
        ("test[1, chosen[1]] - test[0, chosen[0]]", "test[0, chosen[0]] - test[1, chosen[1]]"),
        "Your gain is negative where pretraining helps. Which arm is which?",
    ),
    "the error is the deviation": (
        ("gain.std(ddof=1) / len(gain) ** 0.5", "gain.std(ddof=1)"),
        "Your error says how far one gain lies from the mean. The mean of many is known better "
        "than one.",
    ),
    "squares divided by K": (
        ("gain.std(ddof=1)", "gain.std()"),
        "Your error divides the squares by K. The mean was made of the same gains, so they lie too "
        "near to it; the text says what to divide by.",
    ),
    "arms as if independent": (
        (
            "gain.std(ddof=1) / len(gain) ** 0.5",
            "np.hypot(*(test[i, chosen[i]].std(ddof=1) for i in (0, 1))) / len(gain) ** 0.5",
        ),
        "Your error adds the variances of the two arms, as if their seeds had nothing to do with "
        "each other. What is measured seed by seed?",
    ),
}
### END LECTURER
