package rows_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rows"
)

// secret stands in answers and must never be in a fault.
const secret = "MY-PRIVATE-ANSWER"

// read is everything a Reader has to say of a text.
func read(text string, format rows.Format, question string) (list []rows.Row, faults rows.Faults, err error) {
	return readFrom(strings.NewReader(text), format, question)
}

func readFrom(in io.Reader, format rows.Format, question string) (list []rows.Row, faults rows.Faults, err error) {
	r := rows.NewReader(in, format, question)
	for {
		row, err := r.Next()
		var fault *rows.Error
		switch {
		case errors.Is(err, io.EOF):
			return list, faults, nil
		case errors.As(err, &fault):
			faults.Add(fault)
		case err != nil:
			return list, faults, err
		default:
			list = append(list, *row)
		}
	}
}

// same reads a text whole and in dribs and drabs, which must come to the same.
func same(t *testing.T, text string, format rows.Format, question string) ([]rows.Row, rows.Faults) {
	t.Helper()
	list, faults, err := read(text, format, question)
	require.NoError(t, err)
	if len(text) < 100_000 {
		again, faultsAgain, err := readFrom(iotest.OneByteReader(strings.NewReader(text)), format, question)
		require.NoError(t, err)
		require.Equal(t, list, again)
		require.Equal(t, faults, faultsAgain)
	}
	require.NotContains(t, fmt.Sprint(faults.List()), secret)
	return list, faults
}

func item(id, question, answer string) api.BatchItem {
	return api.BatchItem{ID: id, QuestionID: question, Answer: answer}
}

func TestTheSameAnswersInEveryFormat(t *testing.T) {
	t.Parallel()
	want := []api.BatchItem{item("a1", "s/q", "one, \"two\"\nthree"), item("a2", "s/other", ""), item("b/3@x", "s/q", "é 🙂")}
	for name, tt := range map[string]struct {
		format rows.Format
		text   string
		lines  []int
	}{
		"JSON, options first": {rows.JSON, `{"question_id":"s/q","items":[{"id":"a1","answer":"one, \"two\"\nthree"},{"id":"a2","question_id":"s/other","answer":""},{"id":"b/3@x","answer":"é 🙂"}]}`, []int{0, 0, 0}},
		"JSON, options last":  {rows.JSON, ` {"items" : [{"id":"a1","answer":"one, \"two\"\nthree"}, {"id":"a2","question_id":"s/other","answer":""},{"id":"b/3@x","answer":"é 🙂"}] ,"judge":"lexical","question_id":"s/q"} ` + "\n", []int{0, 0, 0}},
		"JSON from Windows":   {rows.JSON, "\ufeff" + `{"question_id":"s/q","items":[{"id":"a1","answer":"one, \"two\"\nthree"},{"id":"a2","question_id":"s/other","answer":""},{"id":"b/3@x","answer":"é 🙂"}]}` + "\r\n", []int{0, 0, 0}},
		"NDJSON":              {rows.NDJSON, `{"id":"a1","answer":"one, \"two\"\nthree"}` + "\n" + `{"id":"a2","question_id":"s/other","answer":""}` + "\n\n  \n" + `{"id":"b/3@x","answer":"é 🙂"}`, []int{1, 2, 5}},
		"NDJSON from Windows": {rows.NDJSON, "\ufeff" + `{"id":"a1","answer":"one, \"two\"\nthree"}` + "\r\n" + `{"id":"a2","question_id":"s/other","answer":""}` + "\r\n" + `{"id":"b/3@x","answer":"é 🙂"}` + "\r\n\r\n\n", []int{1, 2, 3}},
		"CSV":                 {rows.CSV, "id,question_id,answer\na1,,\"one, \"\"two\"\"\nthree\"\na2,s/other,\nb/3@x,,é 🙂\n", []int{2, 4, 5}},
		"CSV from Excel":      {rows.CSV, "\ufeffanswer;id;question_id\r\n\"one, \"\"two\"\"\r\nthree\";a1;\r\n;a2;s/other\r\né 🙂;b/3@x;s/q\r\n;;\r\n", []int{2, 4, 5}},
		"CSV with tabs":       {rows.CSV, "\"id\"\tanswer\tquestion_id\na1\t\"one, \"\"two\"\"\nthree\"\t\na2\t\ts/other\n\nb/3@x\té 🙂\t", []int{2, 4, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := "s/q"
			if tt.format == rows.JSON {
				question = ""
			}
			list, faults := same(t, tt.text, tt.format, question)
			require.Empty(t, faults.List())
			require.Len(t, list, len(want))
			for i, row := range list {
				require.Equal(t, want[i], row.Item)
				require.Equal(t, tt.lines[i], row.Line)
				if tt.format == rows.JSON {
					require.Equal(t, fmt.Sprintf("/items/%d", i), row.Pointer)
				}
			}
		})
	}
}

func TestOptionsOfAJSONUpload(t *testing.T) {
	t.Parallel()
	r := rows.NewReader(strings.NewReader(`{"max_cost":1.5,"items":[{"id":"a","answer":"x","question":{"question":"q","criteria":[{"id":"c","statement":"s"}]}}],`+
		`"judge":"lexical","fallback":"lexical","detail":"hint","on_error":"skip","dry_run":true,"webhook_url":"https://example.org/x"}`), rows.JSON, "")
	row, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "s", row.Item.Question.Criteria[0].Statement)
	limit := 1.5
	require.Equal(t, &api.BatchOptions{Judge: "lexical", Fallback: "lexical", Detail: "hint", MaxCost: &limit,
		WebhookURL: "https://example.org/x", OnError: "skip", DryRun: true}, r.Options(), "known with the first item")
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
	require.Nil(t, rows.NewReader(strings.NewReader(""), rows.CSV, "").Options())
}

func TestTheBodysQuestionComesFirst(t *testing.T) {
	t.Parallel()
	list, faults := same(t, `{"question_id":"s/body","items":[{"id":"a","answer":""}]}`, rows.JSON, "s/query")
	require.Empty(t, faults.List())
	require.Equal(t, "s/body", list[0].Item.QuestionID)

	list, faults = same(t, `{"items":[{"id":"a","answer":""}],"question_id":"s/body"}`, rows.JSON, "s/query")
	require.Empty(t, faults.List())
	require.Equal(t, "s/body", list[0].Item.QuestionID)

	list, faults = same(t, `{"items":[{"id":"a","answer":""}]}`, rows.JSON, "s/query")
	require.Empty(t, faults.List())
	require.Equal(t, "s/query", list[0].Item.QuestionID)
}

// TestFaults has one upload for each way to be wrong: what is said of it, and
// which rows are good nevertheless.
func TestFaults(t *testing.T) {
	t.Parallel()
	good := func(id string) string { return `{"id":"` + id + `","question_id":"s/q","answer":"` + secret + `"}` }
	line := func(n int, pointer, detail string) []api.Fault {
		return []api.Fault{{Line: n, Pointer: pointer, Detail: detail}}
	}
	at := func(pointer, detail string) []api.Fault { return line(0, pointer, detail) }
	long := strings.Repeat("x", rows.MaxRow)
	for _, tt := range []struct {
		name             string
		format           rows.Format
		text             string
		malformed, whole bool
		faults           []api.Fault
		ids              string
	}{
		{"nothing", rows.NDJSON, "", false, true, at("", "there are no answers"), ""},
		{"blank lines only", rows.NDJSON, "\n \r\n\n", false, true, at("", "there are no answers"), ""},
		{"a line is cut short", rows.NDJSON, good("a") + "\n" + `{"id":"b","answer":"` + secret + "\n" + good("c"), true, false, line(2, "/answer", "the line ends in the middle of a value"), "a c"},
		{"a line is not JSON", rows.NDJSON, secret + "\n" + good("a"), true, false, line(1, "", "not JSON from byte 0 of the line on"), "a"},
		{"two objects on a line", rows.NDJSON, good("a") + good("b"), true, false, line(1, "", "more data follows the JSON value, at byte 59 of the line"), ""},
		{"an array on a line", rows.NDJSON, "[" + good("a") + "]\n" + good("b"), false, false, line(1, "", "the line must be a JSON object"), "b"},
		{"a line is not UTF-8", rows.NDJSON, good("a") + "\n{\"id\":\"b\",\"answer\":\"\xff\"}\n", true, false, line(2, "/answer", "byte 20 of the line is not valid UTF-8"), "a"},
		{"half a surrogate pair in an id", rows.NDJSON, `{"id":"\ud83d","answer":""}`, true, false, line(1, "/id", "byte 7 of the line begins a \\u escape that is not a code point"), ""},
		{"a field in the wrong case", rows.NDJSON, `{"ID":"a","answer":""}`, false, false, line(1, "/ID", "there is no such field; field names are lower case"), ""},
		{"a field twice", rows.NDJSON, `{"id":"a","id":"b","answer":""}`, true, false, line(1, "/id", "this key is given twice"), ""},
		{"a missing answer", rows.NDJSON, `{"id":"a","question_id":"s/q"}`, false, false, line(1, "/answer", "this field is missing"), ""},
		{"an answer that is null", rows.NDJSON, `{"id":"a","question_id":"s/q","answer":null}`, false, false, line(1, "/answer", "this field must not be null"), ""},
		{"a missing id and answer", rows.NDJSON, `{}`, false, false, []api.Fault{{Line: 1, Pointer: "/id", Detail: "this field is missing"}, {Line: 1, Pointer: "/answer", Detail: "this field is missing"}}, ""},
		{"a NUL in an id", rows.NDJSON, `{"id":"a\u0000","question_id":"s/q","answer":""}`, false, false, line(1, "/id", "an id is 1 to 128 letters, digits and _ . : @ / - and begins with a letter or digit"), ""},
		{"no question", rows.NDJSON, `{"id":"a","answer":""}`, false, false, line(1, "/question_id", "give question_id or question, here or question_id for the whole batch"), ""},
		{"two questions", rows.NDJSON, `{"id":"a","question_id":"s/q","question":{"question":"q","criteria":[]},"answer":""}`, false, false, line(1, "/question", "question and question_id exclude each other"), ""},
		{"an answer too long", rows.NDJSON, `{"id":"a","question_id":"s/q","answer":"` + strings.Repeat("é", api.MaxAnswer+1) + `"}` + "\n" + good("b"), false, false, line(1, "/answer", "the answer has 20001 characters; at most 20000 are graded"), "b"},
		{"an id twice", rows.NDJSON, good("a") + "\n" + good("b") + "\n" + good("a"), false, false, line(3, "/id", "line 1 has this id already"), "a b"},
		{"a line too long", rows.NDJSON, good("a") + "\n" + `{"id":"` + long + "\n" + good("c"), true, false, line(2, "", "the row has more than 524288 bytes"), "a c"},
		{"UTF-16", rows.NDJSON, "\xff\xfe{\x00", true, true, line(1, "", "the text is UTF-16; save or send it as UTF-8"), ""},

		{"an empty body", rows.JSON, " ", true, true, at("", "the body is empty"), ""},
		{"no items", rows.JSON, `{"judge":"auto"}`, false, true, at("/items", "this field is missing"), ""},
		{"items that are null", rows.JSON, `{"items":null}`, false, true, at("/items", "this field must not be null"), ""},
		{"items that are an object", rows.JSON, `{"items":{}}`, false, true, at("/items", "expected an array"), ""},
		{"empty items", rows.JSON, `{"items":[]}`, false, true, at("/items", "there are no answers"), ""},
		{"an array", rows.JSON, `[` + good("a") + `]`, false, true, at("", "the body must be a JSON object"), ""},
		{"items twice", rows.JSON, `{"items":[` + good("a") + `],"items":[]}`, true, true, at("/items", "this key is given twice"), ""},
		{"an option twice", rows.JSON, `{"judge":"auto","judge":"model","items":[]}`, true, true, at("/judge", "this key is given twice"), ""},
		{"an unknown option", rows.JSON, `{"items":[` + good("a") + `],"jugde":"auto"}`, false, true, at("/jugde", "there is no such field"), ""},
		{"an option of the wrong type", rows.JSON, `{"max_cost":"1","items":[]}`, false, true, at("/max_cost", "expected a number"), ""},
		{"an option that is not UTF-8", rows.JSON, "{\"judge\":\"\xff\",\"items\":[]}", true, true, at("/judge", "the value is not valid JSON in UTF-8"), ""},
		{"a bad item", rows.JSON, `{"items":[` + good("a") + `,{"id":"b","answer":1},` + good("c") + `]}`, false, false, at("/items/1/answer", "expected a string"), "a c"},
		{"an item that is null", rows.JSON, `{"items":[null,` + good("c") + `]}`, false, false, at("/items/0", "the item must be a JSON object"), "c"},
		{"an item with a key twice", rows.JSON, `{"items":[{"id":"a","id":"b","answer":""},` + good("c") + `]}`, true, false, at("/items/0/id", "this key is given twice"), "c"},
		{"an item that is not UTF-8", rows.JSON, "{\"items\":[{\"id\":\"a\",\"answer\":\"\xff\"}," + good("c") + "]}", true, false, at("/items/0/answer", "byte 20 of the item is not valid UTF-8"), "c"},
		{"an id twice in items", rows.JSON, `{"items":[` + good("a") + `,` + good("a") + `]}`, false, false, at("/items/1/id", "/items/0 has this id already"), "a"},
		{"cut in an item", rows.JSON, `{"items":[` + good("a") + `,{"id":"b","answer":"` + secret, true, true, at("/items/1/answer", "the body ends in the middle of a value"), ""},
		{"cut after an item", rows.JSON, `{"items":[` + good("a"), true, true, at("/items", "the body ends in the middle of a value"), ""},
		{"a comma too many", rows.JSON, `{"items":[` + good("a") + `,]}`, true, true, at("/items", "not JSON from byte 69 on"), ""},
		{"data behind", rows.JSON, `{"items":[` + good("a") + `]} ` + secret, true, true, at("", "more data follows the JSON value, after byte 71"), ""},
		{"another value behind", rows.JSON, `{"items":[` + good("a") + `]}{}`, true, true, at("", "more data follows the JSON value, after byte 71"), ""},
		{"an item too long", rows.JSON, `{"items":[` + good("a") + `,{"id":"` + long, true, true, at("/items/1", "the row has more than 524288 bytes"), ""},
		{"an item too long with an end", rows.JSON, `{"items":[` + good("a") + `,{"id":"` + long + `"}]}`, true, true, at("/items/1", "the row has more than 524288 bytes"), ""},
		{"very deep", rows.JSON, `{"items":[{"id":` + strings.Repeat("[", 20_000), true, true, at("", "values are nested too deeply"), ""},

		{"no header", rows.CSV, "a,s/q," + secret + "\n", false, true, line(1, "", "column 1 is none of ours; the first row names the columns: id, question_id, answer"), ""},
		{"a column is missing", rows.CSV, "id,question_id\na,s/q\n", false, true, line(1, "", "the column answer is missing; the first row names the columns: id, question_id, answer"), ""},
		{"a column too many", rows.CSV, "id,answer,name\n", false, true, line(1, "", "column 3 is none of ours; the first row names the columns: id, question_id, answer"), ""},
		{"a column twice", rows.CSV, "id,answer,id\n", false, true, line(1, "", "the column id is there twice"), ""},
		{"a column in the wrong case", rows.CSV, "Id,answer\n", false, true, line(1, "", "column 1 must be called id, in lower case"), ""},
		{"a header and no rows", rows.CSV, "id,answer\n", false, true, at("", "there are no answers"), ""},
		{"an empty file", rows.CSV, "", false, true, at("", "there are no answers"), ""},
		{"cells missing", rows.CSV, "id,question_id,answer\na,s/q\nb,s/q,x\n", true, false, line(2, "", "the row has 2 cells and the header 3"), "b"},
		{"a stray quote", rows.CSV, "id,question_id,answer\na,s/q,he said \"" + secret + "\"\nb,s/q,x\n", true, false, line(2, "", "a quote stands inside a cell that does not begin with one: put the cell in quotes and double those inside"), "b"},
		{"an open quote", rows.CSV, "id,question_id,answer\nz,s/q,x\na,s/q,\"" + secret + "\nb,s/q,x\n", true, true, line(3, "", "a quoted cell has no end, or text behind its end: double the quotes inside a cell; nothing after this was read"), "z"},
		{"Latin-1", rows.CSV, "id,question_id,answer\na,s/q,\"x\ncaf\xe9\"\n", true, true, line(3, "", "byte 5 of cell 3 is not valid UTF-8; save the file as UTF-8"), ""},
		{"UTF-16 big-endian", rows.CSV, "\xfe\xff\x00i\x00d", true, true, line(1, "", "the text is UTF-16; save or send it as UTF-8"), ""},
		{"a NUL in a cell's id", rows.CSV, "id,question_id,answer\na\x00,s/q,x\n", false, false, line(2, "/id", "an id is 1 to 128 letters, digits and _ . : @ / - and begins with a letter or digit"), ""},
		{"no question in a cell", rows.CSV, "id,answer\na,x\n", false, false, line(2, "/question_id", "give question_id or question, here or question_id for the whole batch"), ""},
		{"an id twice in cells", rows.CSV, "id,question_id,answer\na,s/q,\"x\ny\"\n\na,s/q,x\n", false, false, line(5, "/id", "line 2 has this id already"), "a"},
		{"a cell of 5 MB", rows.CSV, "id,question_id,answer\na,s/q,x\nb,s/q,\"" + strings.Repeat("x\n", 5<<19) + "\"\n", true, true, line(3, "", "the row has more than 524288 bytes"), "a"},
		{"a header without an end", rows.CSV, long + long, true, true, line(1, "", "the row has more than 524288 bytes"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list, faults := same(t, tt.text, tt.format, "")
			require.Equal(t, tt.faults, faults.List())
			require.Equal(t, [2]bool{tt.malformed, tt.whole}, [2]bool{faults.Malformed, faults.Whole})
			var ids []string
			for _, row := range list {
				ids = append(ids, row.Item.ID)
			}
			require.Equal(t, tt.ids, strings.Join(ids, " "))
		})
	}
}

// A row of exactly the limit is read, and one byte more is not, wherever in the
// buffers it comes to lie.
func TestTheLimitOfARowIsExact(t *testing.T) {
	t.Parallel()
	for _, ahead := range []int{0, 1, 1000} {
		for format, row := range map[rows.Format][2]string{
			rows.NDJSON: {strings.Repeat("\n", ahead) + `{"id":"a","question_id":"s/q","answer":"x"`, "}"},
			rows.JSON:   {`{` + strings.Repeat(" ", ahead) + `"items":[` + `{"id":"a","question_id":"s/q","answer":"x"`, "}]}"},
			rows.CSV:    {"id,question_id,answer" + strings.Repeat("\n", ahead+1) + `a,s/q,"x`, `"`},
		} {
			begin := map[rows.Format]int{rows.NDJSON: ahead, rows.JSON: 10 + ahead, rows.CSV: 22}[format]
			end := map[rows.Format]int{rows.NDJSON: 1, rows.JSON: 1, rows.CSV: 1}[format]
			room := rows.MaxRow - (len(row[0]) - begin) - end
			pad := " "
			if format == rows.CSV {
				pad = "\n"
			}
			list, faults := same(t, row[0]+strings.Repeat(pad, room)+row[1], format, "")
			if format == rows.CSV {
				require.Equal(t, 1, faults.Rows, "the answer is too long, the row is not: %v", faults.List())
			} else {
				require.Len(t, list, 1, "%s %v", format, faults.List())
			}
			_, faults = same(t, row[0]+strings.Repeat(pad, room+1)+row[1], format, "")
			require.Contains(t, fmt.Sprint(faults.List()), "bytes", format)
		}
	}
}

func TestFaultsAreListedUpToALimitAndThenCounted(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("{\n", 4710) + `{"id":"a","question_id":"s/q","answer":"x"}` + "\n" + strings.Repeat("[]\n", 290)
	list, faults := same(t, text, rows.NDJSON, "")
	require.Len(t, list, 1)
	require.Equal(t, 4711, list[0].Line)
	require.Len(t, faults.List(), api.MaxFaults+1)
	require.Equal(t, api.Fault{Detail: "4900 more faults are not listed"}, faults.List()[api.MaxFaults])
	require.Equal(t, 5000, faults.Rows)
	require.Equal(t, 5000, faults.Count())
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	for format, text := range map[rows.Format]string{
		rows.NDJSON: strings.Repeat("{}\n", api.MaxBatchItems+1),
		rows.JSON:   `{"items":[` + strings.Repeat("{},", api.MaxBatchItems+1),
		rows.CSV:    "id,answer\n" + strings.Repeat("-,x\n", api.MaxBatchItems+1),
	} {
		_, faults, err := read(text, format, "s/q")
		require.ErrorIs(t, err, rows.ErrTooMany, format)
		require.Equal(t, api.MaxBatchItems, faults.Rows)
	}
}

func TestErrorsOfTheReaderArePassedOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for format, text := range map[rows.Format]string{
		rows.NDJSON: `{"id":"a","question_id":"s/q","answer":"x"}` + "\n" + `{"id":`,
		rows.JSON:   `{"items":[{"id":"a","question_id":"s/q","answer":"x"},{"id":`,
		rows.CSV:    "id,question_id,answer\na,s/q,x\nb,",
	} {
		for _, text := range []string{text, ""} {
			list, _, err := readFrom(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), format, "")
			require.ErrorIs(t, err, broken, format)
			if text != "" && format != rows.JSON {
				require.Len(t, list, 1)
			}
		}
	}
}

func TestItemsWaitForOptionsOnlyInBounds(t *testing.T) {
	t.Parallel()
	answer := strings.Repeat("x", 20_000)
	upload := func(before, behind string) io.Reader {
		return piped(func(w io.Writer) {
			_, _ = io.WriteString(w, `{`+before+`"items":[`)
			for i := range 1000 {
				if i > 0 {
					_, _ = io.WriteString(w, ",")
				}
				_, _ = fmt.Fprintf(w, `{"id":"i%d","answer":"%s"}`, i, answer)
			}
			_, _ = io.WriteString(w, `]`+behind+`}`)
		})
	}
	list, faults, err := readFrom(upload(`"judge":"lexical","question_id":"s/q",`, ""), rows.JSON, "")
	require.NoError(t, err)
	require.Empty(t, faults.List())
	require.Len(t, list, 1000)

	_, faults, err = readFrom(upload("", `,"judge":"lexical"`), rows.JSON, "s/q")
	require.NoError(t, err)
	require.True(t, faults.Whole)
	require.Equal(t, "/judge", faults.List()[0].Pointer)

	list, _, err = readFrom(upload("", `,"judge":""`), rows.JSON, "s/q")
	require.NoError(t, err)
	require.Len(t, list, 1000, "it changes nothing")
}

// piped is a reader of what write writes.
func piped(write func(io.Writer)) io.Reader {
	r, w := io.Pipe()
	go func() {
		write(w)
		_ = w.Close()
	}()
	return r
}

// TestMemoryStaysFlat reads 100 MB in each format and holds no row: what is
// alive in between must not grow with what was read, except for the ids.
func TestMemoryStaysFlat(t *testing.T) {
	answer := strings.Repeat("I would measure it. ", 100)
	for format, write := range map[rows.Format]func(io.Writer){
		rows.NDJSON: func(w io.Writer) {
			for i := range api.MaxBatchItems {
				_, _ = fmt.Fprintf(w, `{"id":"item-%d","answer":"%s"}`+"\n", i, answer)
			}
		},
		rows.JSON: func(w io.Writer) {
			_, _ = io.WriteString(w, `{"items":[`)
			for i := range api.MaxBatchItems {
				if i > 0 {
					_, _ = io.WriteString(w, ",")
				}
				_, _ = fmt.Fprintf(w, `{"id":"item-%d","answer":"%s"}`, i, answer)
			}
			_, _ = io.WriteString(w, `]}`)
		},
		rows.CSV: func(w io.Writer) {
			_, _ = io.WriteString(w, "id,answer\n")
			for i := range api.MaxBatchItems {
				_, _ = fmt.Fprintf(w, "item-%d,\"%s\"\n", i, answer)
			}
		},
	} {
		r := rows.NewReader(piped(write), format, "s/q")
		n, most := 0, uint64(0)
		base := alive()
		for {
			_, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if n++; n%5000 == 1 {
				if now := alive(); now > base {
					most = max(most, now-base)
				}
			}
		}
		require.Equal(t, api.MaxBatchItems, n)
		limit := uint64(8 << 20)
		if format == rows.JSON {
			limit += 2 * rows.MaxHeld
		}
		require.Less(t, most, limit, "%s", format)
		t.Logf("%s: %d KiB alive at most", format, most>>10)
	}
}

func alive() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
