package importer_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/importer"
)

func page(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return data
}

func read(t *testing.T, text string) *importer.Page {
	t.Helper()
	p, err := importer.Read("page.txt", []byte(text), importer.Text)
	require.NoError(t, err)
	return p
}

// withoutLines is entries as they would be on any page.
func withoutLines(p *importer.Page) []importer.Entry {
	out := make([]importer.Entry, len(p.Entries))
	for i, e := range p.Entries {
		e.Line = 0
		out[i] = e
	}
	return out
}

// asCSV writes entries as a table, the columns in another order than ours.
func asCSV(t *testing.T, entries []importer.Entry, comma rune, bom bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if bom {
		b.WriteString("\ufeff")
	}
	w := csv.NewWriter(&b)
	w.Comma, w.UseCRLF = comma, true
	require.NoError(t, w.Write([]string{"Sample Answer", "question", "guidance"}))
	for _, e := range entries {
		require.NoError(t, w.Write([]string{e.SampleAnswer, e.Question, e.Guidance}))
	}
	w.Flush()
	require.NoError(t, w.Error())
	return b.Bytes()
}

func TestAPageReadsAlikeInEveryForm(t *testing.T) {
	t.Parallel()
	plain, err := importer.Read("nurse.txt", page(t, "nurse.txt"), importer.Text)
	require.NoError(t, err)
	want := withoutLines(plain)
	require.Len(t, want, 3)
	require.Equal(t, "Ward Nurse", plain.Title)
	require.Equal(t, []int{7, 12, 16}, []int{plain.Entries[0].Line, plain.Entries[1].Line, plain.Entries[2].Line})
	require.Empty(t, plain.Skipped, "a list of contents is not lost")
	require.Equal(t, "How do you hand over a patient at the end of a shift?", want[0].Question)
	require.True(t, strings.HasPrefix(want[0].Guidance, "Interviewers ask this to see if"))
	require.True(t, strings.HasPrefix(want[0].SampleAnswer, "I follow the same order"))
	require.True(t, strings.HasSuffix(want[0].SampleAnswer, "and I sign the sheet."))

	for name, form := range map[string]struct {
		data   []byte
		format importer.Format
	}{
		"Windows":        {append([]byte("\ufeff"), bytes.ReplaceAll(page(t, "nurse.txt"), []byte("\n"), []byte("\r\n"))...), importer.Text},
		"old Mac":        {bytes.ReplaceAll(page(t, "nurse.txt"), []byte("\n"), []byte("\r")), importer.Text},
		"curly quotes":   {curly(page(t, "nurse.txt")), importer.Text},
		"Markdown":       {page(t, "nurse.md"), importer.Text},
		"HTML":           {page(t, "nurse.html"), importer.Text},
		"CSV":            {asCSV(t, want, ',', false), importer.CSV},
		"CSV of a sheet": {asCSV(t, want, ';', true), importer.CSV},
		"tabs":           {asCSV(t, want, '\t', false), importer.CSV},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := importer.Read(name, form.data, form.format)
			require.NoError(t, err)
			require.Equal(t, want, withoutLines(got))
			require.Empty(t, got.Skipped)
		})
	}
}

func curly(data []byte) []byte {
	return []byte(strings.ReplaceAll(strings.ReplaceAll(string(data), `: "`, `: “`), "\"\n", "”\n"))
}

func TestPartsOfAnEntry(t *testing.T) {
	t.Parallel()
	const guidance = "Employers ask this to see if you bake. Describe the dough."
	for _, test := range []struct {
		name, page string
		want       importer.Entry
	}{
		{"a quotation over several paragraphs", "How do you bake?\n" + guidance + "\nSample answer:\n\"I weigh.\n\n\"I knead.\n\n\"I wait.\"\n\nShare this page", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: guidance, SampleAnswer: "I weigh.\nI knead.\nI wait."}},
		{"quotes inside the quotation", "How do you bake?\n" + guidance + "\nExample answer: \"They said \"more salt\" and I agreed.\"", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: guidance, SampleAnswer: `They said "more salt" and I agreed.`}},
		{"no quotes", "How do you bake?\n" + guidance + "\nExample: I weigh.\nI wait.", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: guidance, SampleAnswer: "I weigh.\nI wait."}},
		{"no sample answer", "How do you bake?\n" + guidance, importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: guidance}},
		{"guidance that does not say what it is", "**How do you bake?**\n\nDescribe the dough.\n\nSay how long it rests.\n\nModel answer: I weigh.", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: "Describe the dough.\nSay how long it rests.", SampleAnswer: "I weigh."}},
		{"labelled parts", "Q1: How do you bake?\nWhy they ask: to see if you bake.\nDescribe the dough.\nA: I weigh.", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: "to see if you bake. Describe the dough.", SampleAnswer: "I weigh."}},
		{"guidance that opens as a question may", "## How do you bake?\n\nDescribe the dough.\n\nExplain the oven.", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: "Describe the dough.\nExplain the oven."}},
		{"two labels", "Q1: How do you bake?\nWhy they ask: to see if you bake.\nHow to answer: Describe the dough.\nA: I weigh.", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: "to see if you bake.\nDescribe the dough.", SampleAnswer: "I weigh."}},
		{"a question that asks nothing", "Intro line that is long enough to be prose and to stand on its own.\n\nDescribe your oven.\n" + guidance + "\nAnswer Example: \"Hot.\"", importer.Entry{
			Line: 3, Question: "Describe your oven.", Guidance: guidance, SampleAnswer: "Hot."}},
		{"a list in the guidance", "## How do you bake?\nEmployers ask this to see if you bake. Cover:\n- the flour\n- the oven\n\nAnswer: I weigh.", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: "Employers ask this to see if you bake. Cover the flour, and the oven.", SampleAnswer: "I weigh."}},
		{"lines broken to a width", "How do you bake when the oven is colder than the\nrecipe wants it to be?\nEmployers ask this to see if you can bake with what\nthere is. Describe the dough.\nSample answer: \"I wait longer and look at the crust\nand not at the clock.\"", importer.Entry{
			Line: 1, Question: "How do you bake when the oven is colder than the recipe wants it to be?", Guidance: "Employers ask this to see if you can bake with what there is. Describe the dough.", SampleAnswer: "I wait longer and look at the crust and not at the clock."}},
		{"characters that do not show", "How\u00a0do you \u200bbake?\n" + guidance + "\nAnswer: I\u00ad weigh.\x07", importer.Entry{
			Line: 1, Question: "How do you bake?", Guidance: guidance, SampleAnswer: "I weigh."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, []importer.Entry{test.want}, read(t, test.page).Entries)
		})
	}
}

func TestOnePartMissingDoesNotShiftTheOthers(t *testing.T) {
	t.Parallel()
	p := read(t, `1. How do you bake?
Employers ask this to see if you bake. Describe the dough.
2. What do you do with old bread?
Answer Example: "I make crumbs of it."
3. Why bread?
Employers ask this to assess motivation. Name one reason.
Answer Example: "It smells good."
4. Anything else?
`)
	require.Equal(t, []importer.Entry{
		{Line: 1, Question: "How do you bake?", Guidance: "Employers ask this to see if you bake. Describe the dough."},
		{Line: 3, Question: "What do you do with old bread?", SampleAnswer: "I make crumbs of it."},
		{Line: 5, Question: "Why bread?", Guidance: "Employers ask this to assess motivation. Name one reason.", SampleAnswer: "It smells good."},
	}, p.Entries)
	require.Equal(t, []importer.Skipped{{Line: 8, Text: "Anything else?", Why: "nothing follows it"}}, p.Skipped)
}

func TestFaultsNameTheirLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, page string
		format     importer.Format
		want       string
	}{
		{"nothing", " \n--\n", importer.Text, "p: the page is empty"},
		{"no questions", "\nSome prose.\nMore of it.", importer.Text, "p:2: no questions found"},
		{"a sample answer without a question", "Answer Example: \"Yes.\"", importer.Text, "p:1: a sample answer with no question ahead of it"},
		{"no guidance anywhere", "Hello.\nHow do you bake?\nAnswer: With an oven.", importer.Text, "p:2: the question has no guidance"},
		{"nothing but questions", "Bakers\nHow do you bake?\nWhat do you do with old bread?\nDescribe a loaf you are proud of.\n", importer.Text, "p:2: the question has no guidance"},
		{"another encoding", "How?\nEmployers ask this to see.\nCaf\xe9", importer.Text, "p:3: not valid UTF-8"},
		{"wide characters", "\xff\xfeH\x00", importer.Text, "p:1: UTF-16"},
		{"a page too large", strings.Repeat("x", importer.MaxBytes+1), importer.Text, "p: larger than 1 MiB"},
		{"guidance without an end", "How?\nEmployers ask this to see " + strings.Repeat("x ", 15_000), importer.Text, "p:1: the guidance is too long"},
		{"an empty table", "", importer.CSV, "p: the table is empty"},
		{"a header alone", "question,guidance\n", importer.CSV, "p:1: no questions found"},
		{"no header", "How?,Say how.\n", importer.CSV, "p:1: the column question is missing"},
		{"a column twice", "question,Question\n", importer.CSV, "p:1: the column question is there twice"},
		{"no question column", "guidance\nx\n", importer.CSV, "p:1: the column question is missing"},
		{"a row without a question", "question,guidance\nHow?,Say.\n,Say.\n", importer.CSV, "p:3: the row has no question"},
		{"a row too short", "question,guidance\nHow?\n", importer.CSV, "p:2: the row has not as many cells"},
		{"a loose quote", "question,guidance\nHow?,a \"b\" c\n", importer.CSV, "p:2: a quote inside a cell"},
		{"an open quote", "question,guidance\n\"How?,a\n", importer.CSV, "p:2: a quoted cell has no end"},
		{"another kind", "question,guidance,kind\nHow?,Say.,tricky\n", importer.CSV, `p:2: kind "tricky"`},
		{"another id", "question,guidance,id\nHow?,Say.,My Id\n", importer.CSV, `p:2: the id "My Id"`},
		{"an id twice", "question,guidance,id\nHow?,Say.,one\nWhy?,Say.,one\n", importer.CSV, "p:3: two questions are called one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := importer.Read("p", []byte(test.page), test.format)
			require.ErrorIs(t, err, importer.ErrPage)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestEveryFaultOfATableIsTold(t *testing.T) {
	t.Parallel()
	_, err := importer.Read("p", []byte("question,guidance,kind\n,Say.,\nHow?\nWhy?,Say.,odd\n"), importer.CSV)
	var faults importer.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 3)
}

func TestMoreQuestionsThanALimit(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("question,guidance\n")
	for range importer.MaxQuestions + 1 {
		b.WriteString("How?,Say how.\n")
	}
	_, err := importer.Read("p", []byte(b.String()), importer.CSV)
	require.ErrorContains(t, err, "p:202: more than 200 questions")
}

func TestColumnsGoByTheNamesThatPeopleGiveThem(t *testing.T) {
	t.Parallel()
	p, err := importer.Read("p", []byte("No.;Interview Question;Why employers ask;How to answer:;Example Answer;Difficulty\n1;How do you bake?;To see skill.;Describe the dough.;I weigh.;hard\n"), importer.CSV)
	require.NoError(t, err)
	require.Equal(t, []importer.Entry{{Line: 2, Question: "How do you bake?", Intent: "To see skill.", Guidance: "Describe the dough.", SampleAnswer: "I weigh."}}, p.Entries)
	require.Len(t, p.Skipped, 2)
	require.Equal(t, "Difficulty", p.Skipped[1].Text)

	_, err = importer.Read("p", []byte("question,guidance,tips\nHow?,Say how.,Say it.\n"), importer.CSV)
	require.ErrorContains(t, err, "p:1: the column guidance is there twice")
}
