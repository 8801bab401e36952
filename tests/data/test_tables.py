import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.data import limits, read_csv, rows, tables


def written(tmp_path, text):
    path = tmp_path / "file"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-1e6, 1e6),
    ),
    st.sampled_from([",", ";", "\t", "|", " "]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read(tmp_path_factory, x, delimiter, header, end):
    rows = [[repr(float(v)) for v in row] for row in x]
    if header:
        rows.insert(0, [f"column_{i}" for i in range(x.shape[1])])
    path = tmp_path_factory.mktemp("csv") / "a"
    path.write_bytes((end.join(delimiter.join(row) for row in rows) + end).encode())
    raw = read_csv(path, dtype="float64")
    np.testing.assert_array_equal(raw.x, x)
    assert raw.y is None


def test_the_column_of_labels_is_found_by_its_name(tmp_path):
    raw = read_csv(written(tmp_path, "a,Label,b\n1,3,2\n4,0,5\n"))
    assert raw.x.tolist() == [[1, 2], [4, 5]] and raw.x.dtype == np.float32
    assert raw.y.tolist() == [3, 0] and raw.y.dtype == np.int64
    raw = read_csv(written(tmp_path, 'class;b\n"cat, grey";1\nant;2\n"cat, grey";3\n'))
    assert raw.class_names == ("ant", "cat, grey")
    assert raw.y.tolist() == [1, 0, 1]
    raw = read_csv(written(tmp_path, "label,0,1\n1,2,3\n"))  # columns named by numbers
    assert (raw.x.tolist(), raw.y.tolist()) == ([[2, 3]], [1])


def test_layouts_of_real_files(tmp_path):
    def x(text):
        return read_csv(written(tmp_path, text)).x.tolist()

    assert x("\ufeffa,b\n1,2\n") == [[1, 2]]  # the mark that spreadsheets put first
    assert x(",a,b\n0,1,2\n1,3,4\n") == [[1, 2], [3, 4]]  # pandas' row numbers
    assert x("\n1, 2\n\n3, 4") == [[1, 2], [3, 4]]
    assert x("  1   2\n 3 4\n") == [[1, 2], [3, 4]]
    assert x("1\n2\n") == [[1], [2]]
    assert x('"1","-2e3"\n"3","4"\n') == [[1, -2000], [3, 4]]


def test_bytes_stay_bytes_only_if_they_span_their_range(tmp_path):
    assert read_csv(written(tmp_path, "0,255\n7,8\n")).x.dtype == np.uint8
    for text in (
        "0,254\n7,8\n",
        "1,255\n7,8\n",
        "0,255\n7,8.5\n",
        "0,255\n7,256\n",
        "0,255\n-1,7\n",
    ):
        raw = read_csv(written(tmp_path, text))
        assert raw.x.dtype == np.float32
        assert raw.x.tolist() == [[float(c) for c in row.split(",")] for row in text.split()]


def test_blocks_do_not_show(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_BLOCK", 3)
    x = np.arange(20.0).reshape(10, 2)
    x[7, 1] = 0.5  # the other blocks could be bytes
    text = "u,v,y\n" + "".join(f"{a},{b},{i}\n" for i, (a, b) in enumerate(x))
    raw = read_csv(written(tmp_path, text))
    np.testing.assert_array_equal(raw.x, x)
    assert raw.y.tolist() == list(range(10))
    with pytest.raises(ValueError, match=r"line 12, column 2 \(v\) is 'z'"):
        read_csv(written(tmp_path, text + "1,z,2\n"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "has a header and no rows"),
        ("a,b\n1,2\n3,nan\n", r"line 3, column 2 \(b\) is 'nan', expected a finite number"),
        ("1,2\n-inf,2\n", "line 2, column 1 is '-inf'"),
        ("1,1e999\n", "line 1, column 2 is '1e999'"),
        ("a,b\n\n1,\n", r"line 3, column 2 \(b\) is empty"),
        ("a,b,label\n1,x,0\n", r"line 2, column 2 \(b\) is 'x'"),
        ("5.1,3,setosa\n4,3,ant\n", "column 3 is 'setosa'.* a header that names it label"),
        ("a;b\n1,5;2.5\n", "a decimal comma where other numbers have a decimal point"),
        ("a;b\n1.000,5;2\n", "a decimal comma where other numbers have a decimal point"),
        ("a;b\n1,000,5;2\n", r"line 2, column 1 \(a\) is '1,000,5'"),
        ('a,b\n"1,5",2\n', "is '1,5', expected .* where the decimal point is a comma"),
        ("a,b\n1_0,2\n", r"column 1 \(a\) is '1_0'"),
        ("a,b\n１,2\n", r"column 1 \(a\) is '１'"),
        ("a,b\n1e300,2\n", "is '1e300', expected a number that float32 can hold"),
        ("a,b\n1,x\n", r"label_column='b' \(--label-column b\); .* drop='b' \(--drop b\)"),
        ("a,b\n1,?\n", "is '\\?', .*; fill what is missing, .* out with drop='b' \\(--drop b\\)"),
        ('a,b\n"$1,234.5",2\n', "is '\\$1,234.5', .*; write it as digits and a point, or leave it"),
        ("day,b\n2024-01-31,2\n", r"is '2024-01-31', .*; write it .* out with drop='day'"),
        ("a,b,\n" + 9 * "1,2,\n" + "1,2,x\n", "line 11, column 3 is 'x', expected nothing"),
        ("a,label\n1,9007199254740993\n", "label of sample 0 is 9007199254740993, expected less"),
        ("a,label\n1,6000000\n", "is 6000000, expected less than 100,000: labels number the"),
        ("1,2\n3,4\n5\n", "line 3 has 1 cells, expected 2"),
        ("1,2\n3,4,5\n", "line 2 has 3 cells, expected 2"),
        ("a,label\n1,\n2,3\n", "sample 0 has no label"),
        ("a,label\n1,0\n2,1.5\n", "label of sample 1 is 1.5"),
        ("a,label,y\n1,2,3\n", "2 columns of labels, label, y"),
        ("label\n1\n", "no column of features"),
        ('a,b\n"1,2\n', "is no table"),
        (b"a,b\n1,\xe9\n", "not UTF-8 text: byte 0xe9"),
        (b"1,2\n\0,3\n", "zero bytes"),
    ],
)
def test_bad_tables_are_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read_csv(written(tmp_path, text))
    assert str(tmp_path / "file") in str(error.value)


def test_a_word_above_words_is_a_header_if_the_numbers_beside_it_count(tmp_path):
    raw = read_csv(written(tmp_path, "kind,0,1\na,.5,.25\n"), label_column="kind")
    assert (raw.x.tolist(), raw.class_names) == ([[0.5, 0.25]], ("a",))
    raw = read_csv(written(tmp_path, "b,3,1\na,.5,.25\n"), label_column=1)  # two samples
    assert (len(raw.x), raw.class_names) == (2, ("a", "b"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no {tmp_path}/none"):
        read_csv(tmp_path / "none")


# The rule at the top of tables.py on a table of files: what was written; x, y and the names of the
# features as they are read.
FILES = {
    # header
    "# label,p,q\n1,.5,.25\n0,.75,.5\n": ([[0.5, 0.25], [0.75, 0.5]], [1, 0], "p q"),  # savetxt
    "# made by hand, 2024\na,b\n1,2\n": ([[1, 2]], None, "a b"),
    "# one comment\n\n1,2\n# another\n3,4\n": ([[1, 2], [3, 4]], None, "1 2"),
    "#,a,b\n1,.5,.25\n": ([[0.5, 0.25]], None, "a b"),
    "0,1,2\n.5,.25,.75\n": ([[0.5, 0.25, 0.75]], None, "0 1 2"),
    "0,1,2,3\n7,0,255,9\n": ([[7, 0, 255, 9]], None, "0 1 2 3"),
    "0,1\n.5,.25\n": ([[0.5, 0.25]], None, "0 1"),
    "1,2,3\n.5,.25,.75\n": ([[0.5, 0.25, 0.75]], None, "1 2 3"),
    "0,1\n1,1\n": ([[0, 1], [1, 1]], None, "1 2"),  # two samples of XOR, not a header
    "0,1,2\n3,4,5\n": ([[0, 1, 2], [3, 4, 5]], None, "1 2 3"),  # it counts on
    "id,2019,2020\n7,.5,.25\n": ([[7, 0.5, 0.25]], None, "id 2019 2020"),
    "2019,2020,2021\n.5,.25,7\n": ([[0.5, 0.25, 7]], None, "2019 2020 2021"),
    "20,21,22\n19,20,23\n": ([[20, 21, 22], [19, 20, 23]], None, "1 2 3"),  # two samples
    "7,0,0.1,0.2\n5,0,0,9\n": ([[5, 0, 0, 9]], None, "7 0 0.1 0.2"),  # renamed by pandas
    "0,0.1,0.2\n5,0,.5\n": ([[0, 0.1, 0.2], [5, 0, 0.5]], None, "1 2 3"),  # and a sample
    # index
    ",a,b\n0,1,2\n": ([[1, 2]], None, "a b"),
    "Unnamed: 0,a,b\n0,1,2\n": ([[1, 2]], None, "a b"),
    "Unnamed: 0.1,Unnamed: 0,a\n0,0,2\n": ([[2]], None, "a"),
    ",0,1\n0,.5,.25\n": ([[0.5, 0.25]], None, "0 1"),
    '"","a","b"\n"1",1,2\n': ([[1, 2]], None, "a b"),  # R's write.csv
    '"a" "b"\n"Mazda RX4" 1 2\n"Fiat" 3 4\n': ([[1, 2], [3, 4]], None, "a b"),  # its write.table
    "rownames,a,b\nx,1,2\n": ([[1, 2]], None, "a b"),
    # numbers
    "1,5;2,5;3,5\n4,0;5,5;6,5\n": ([[1.5, 2.5, 3.5], [4, 5.5, 6.5]], None, "1 2 3"),
    "a;b\n1,5;2\n": ([[1.5, 2]], None, "a b"),
    "a\tb\n-1,5e1\t,5\n": ([[-15, 0.5]], None, "a b"),
    "1,5 2,5\n3,5 4,5\n": ([[1.5, 2.5], [3.5, 4.5]], None, "1 2"),
    "sep=;\na;b\n1;2\n": ([[1, 2]], None, "a b"),
    # what Excel leaves behind a table
    "a,b,,\n1,.5,,\n3,.25,,\n,,,\n": ([[1, 0.5], [3, 0.25]], None, "a b"),
    "1,.5,\n3,.25,\n": ([[1, 0.5], [3, 0.25]], None, "1 2"),
    "a;label;\n1,5;x;\n2,5;y;\n": ([[1.5], [2.5]], [0, 1], "a"),
    # labels
    "label,a\n1.0,2\n2e0,3\n": ([[2], [3]], [1, 2], "a"),
    "a,class\n1,b\n2,a\n": ([[1], [2]], [1, 0], "a"),
}


@pytest.mark.parametrize("text", FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gz"])
def test_files_as_the_world_writes_them(tmp_path, text, encoding):
    x, y, columns = FILES[text]
    content = gzip.compress(text.encode()) if encoding == "gz" else text.encode(encoding)
    raw = read_csv(written(tmp_path, content))
    np.testing.assert_array_equal(raw.x, np.array(x, np.float32))
    assert (None if raw.y is None else raw.y.tolist()) == y
    assert raw.columns == tuple(columns.split())


def test_any_column_may_hold_the_labels_and_any_may_be_left_out(tmp_path):
    path = written(tmp_path, "id,size,species,y\n7,.5,setosa,3\n8,.25,ant,4\n")
    raw = read_csv(path, label_column="species", drop="id")
    assert (raw.x.tolist(), raw.y.tolist()) == ([[0.5, 3], [0.25, 4]], [1, 0])
    assert (raw.class_names, raw.columns) == (("ant", "setosa"), ("size", "y"))
    assert read_csv(path, drop=["species", "y", "id"]).y is None
    headless = written(tmp_path, "5.1,3,setosa\n4,3,ant\n")
    raw = read_csv(headless, label_column=3, drop=["1"])
    assert (raw.x.tolist(), raw.y.tolist(), raw.columns) == ([[3], [3]], [1, 0], ("2",))
    with pytest.raises(ValueError, match="has no column kind, expected one of 1, 2, 3"):
        read_csv(headless, label_column="kind")
    with pytest.raises(ValueError, match=r"label_column='3' \(--label-column 3\); .*--drop 3"):
        read_csv(headless)


@given(st.integers(0, 10**6), st.integers(1, 30))
def test_a_decimal_comma_is_that_of_a_decimal_point(tmp_path_factory, seed, n):
    X = np.random.default_rng(seed).normal(0, 100, (n, 3)).round(3)
    path = tmp_path_factory.mktemp("comma") / "a"
    np.savetxt(path, X, fmt="%.3f", delimiter=";")
    expected = read_csv(path, dtype="float64").x
    np.testing.assert_array_equal(expected, X)
    path.write_text(path.read_text().replace(".", ","))
    np.testing.assert_array_equal(read_csv(path, dtype="float64").x, expected)


def test_memory_is_bounded_by_what_the_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_ALWAYS", 10_000)
    bomb = gzip.compress(b"a,b\n" + b"0,0\n" * 100_000)
    with pytest.raises(ValueError, match=r"holds more than .* bytes, more than 100 times"):
        read_csv(written(tmp_path, bomb))
    monkeypatch.setattr(rows, "_LONGEST", 1000)
    with pytest.raises(ValueError, match="line 2 is longer than 1,000 characters"):
        read_csv(written(tmp_path, "a,b\n1," + "2" * 1000))
    for cut in range(2, len(bomb) - 8, 7):
        with pytest.raises(ValueError, match=r"file (is cut short or corrupt|holds more than)"):
            read_csv(written(tmp_path, bomb[:cut]))
