package rubric_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// setOf is a loaded set with questions of these ids.
func setOf(t testing.TB, id string, questions ...string) *rubric.Set {
	t.Helper()
	set, err := rubric.Parse(id+".yaml", []byte(yamlOf(id, questions...)))
	require.NoError(t, err)
	return set
}

func yamlOf(id string, questions ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nid: %s\nquestions:\n", id)
	for _, q := range questions {
		fmt.Fprintf(&b, "  - id: %s\n    question: What?\n    criteria: [{id: a, statement: Says it, weight: 100}]\n", q)
	}
	return b.String()
}

func TestFindTellsWhichPartIsUnknown(t *testing.T) {
	t.Parallel()
	l, err := rubric.NewLibrary(setOf(t, "baking", "bread", "failed-cake"), setOf(t, "brewing", "beer", "bread"))
	require.NoError(t, err)

	q, err := l.Find("brewing/bread")
	require.NoError(t, err)
	require.Equal(t, "brewing/bread", q.Ref)

	for ref, want := range map[string]string{
		"baking/braed":       `no question "braed" in set baking; did you mean baking/bread?`,
		"baking/cake":        `no question "cake" in set baking; did you mean baking/failed-cake?`,
		"baking/zebra":       `no question "zebra" in set baking`,
		"bakin/bread":        `no set "bakin"; did you mean baking/bread?`,
		"bakin/unknown":      `no set "bakin"; did you mean baking/…?`,
		"zoo/bread":          `no set "zoo"`,
		"bread":              `"bread" names no question; a question is written SET/QUESTION; did you mean baking/bread or brewing/bread?`,
		"baking":             `"baking" is a set; a question is written SET/QUESTION; did you mean baking/bread?`,
		"":                   `"" names no question; a question is written SET/QUESTION`,
		"baking/bread/crust": `no question "bread/crust" in set baking`,
		"baking/\x1b[31m":    `no question "\x1b[31m" in set baking`,
	} {
		q, err := l.Find(ref)
		require.Nil(t, q)
		require.ErrorIs(t, err, rubric.ErrNotFound)
		require.EqualError(t, err, want)
		var e *rubric.NotFoundError
		require.True(t, errors.As(err, &e))
		require.Equal(t, ref, e.Ref)
	}
	_, err = l.Find(strings.Repeat("x", 1_000_000) + "/y")
	require.ErrorIs(t, err, rubric.ErrNotFound)
	require.Less(t, len(err.Error()), 200)
}

func TestSetsAreOrderedAndFound(t *testing.T) {
	t.Parallel()
	l, err := rubric.NewLibrary(setOf(t, "b", "q"), setOf(t, "a", "q"), setOf(t, "c", "q"))
	require.NoError(t, err)
	sets := l.Sets()
	require.Equal(t, []string{"a", "b", "c"}, []string{sets[0].ID, sets[1].ID, sets[2].ID})
	sets[0] = nil
	require.NotNil(t, l.Sets()[0], "the slice is the caller's own")

	s, err := l.Set("b")
	require.NoError(t, err)
	require.Equal(t, "b", s.ID)
	_, err = l.Set("bb")
	require.ErrorIs(t, err, rubric.ErrNotFound)
	require.EqualError(t, err, `no set "bb"; did you mean b?`)
}

func TestReplaceKeepsTheOldSetsWhenTheNewAreRefused(t *testing.T) {
	t.Parallel()
	l, err := rubric.NewLibrary(setOf(t, "a", "q"))
	require.NoError(t, err)
	err = l.Replace([]*rubric.Set{setOf(t, "b", "q"), setOf(t, "b", "r")})
	require.ErrorIs(t, err, rubric.ErrInvalid)
	require.ErrorContains(t, err, "two sets are called b")
	err = l.Replace([]*rubric.Set{{ID: "c", Questions: []*rubric.Question{{ID: "made-by-hand"}}}})
	require.ErrorIs(t, err, rubric.ErrInvalid)

	_, err = l.Find("a/q")
	require.NoError(t, err)
	require.NoError(t, l.Replace([]*rubric.Set{setOf(t, "b", "q")}))
	_, err = l.Find("a/q")
	require.ErrorIs(t, err, rubric.ErrNotFound)

	_, err = rubric.NewLibrary(setOf(t, "b", "q"), setOf(t, "b", "q"))
	require.ErrorIs(t, err, rubric.ErrInvalid)
	empty, err := rubric.NewLibrary()
	require.NoError(t, err)
	_, err = empty.Find("a/q")
	require.ErrorIs(t, err, rubric.ErrNotFound)
}

// A reader sees all of the old sets or all of the new, never a mixture: run
// with -race.
func TestReplaceSwapsAllSetsAtOnce(t *testing.T) {
	t.Parallel()
	even, odd := setOf(t, "even", "q"), setOf(t, "odd", "q")
	l, err := rubric.NewLibrary(even)
	require.NoError(t, err)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if sets := l.Sets(); len(sets) != 1 || sets[0].Questions[0].Digest() == "" {
					t.Errorf("%d sets at once", len(sets))
					return
				}
				_, _ = l.Find("even/q")
			}
		})
	}
	for range 500 {
		require.NoError(t, l.Replace([]*rubric.Set{odd}))
		require.NoError(t, l.Replace([]*rubric.Set{even}))
	}
	close(stop)
	readers.Wait()
}

func TestFindAllocatesNothing(t *testing.T) {
	l, err := rubric.NewLibrary(setOf(t, "baking", "bread"))
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = l.Find("baking/bread") }))
}

func BenchmarkFind(b *testing.B) {
	l, err := rubric.NewLibrary(setOf(b, "baking", "bread", "cake"))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = l.Find("baking/cake")
	}
}

func TestAFolderIsReadInOrderOfItsNames(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	sets, err := rubric.LoadFS(fstest.MapFS{
		"z.yaml":             file(yamlOf("first", "q")),
		"a.yml":              file(yamlOf("second", "q")),
		"notes.txt":          file("not a set"),
		".hidden.yaml":       file("not a set"),
		"rubric.schema.json": file("{}"),
		"sub/x.yaml":         file("not read"),
		"folder.yaml/x":      file("not read"),
	})
	require.NoError(t, err)
	require.Len(t, sets, 2)
	require.Equal(t, "second", sets[0].ID)
	require.Equal(t, "a.yml", sets[0].Path())
	require.Equal(t, "first", sets[1].ID)

	sets, err = rubric.LoadFS(fstest.MapFS{})
	require.NoError(t, err)
	require.Empty(t, sets)
}

func TestEveryFaultOfEveryFileIsTold(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	sets, err := rubric.LoadFS(fstest.MapFS{
		"a.yaml": file(yamlOf("one", "q")),
		"b.yaml": file(yamlOf("one", "r")),
		"c.yaml": file(yamlOf("Three", "q", "q")),
		"d.yaml": &fstest.MapFile{Data: make([]byte, rubric.MaxBytes+1)},
	})
	require.Nil(t, sets)
	var faults rubric.Faults
	require.True(t, errors.As(err, &faults))
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%s:%d %s", f.Path, f.Line, f.Pointer))
	}
	require.Equal(t, []string{"b.yaml:2 /id", "c.yaml:2 /id", "c.yaml:7 /questions/1/id", "d.yaml:0 "}, got)
	require.ErrorContains(t, err, "b.yaml:2:5: two sets are called one; the other is in a.yaml")
}

func TestAFolderThatCannotBeReadIsNotInvalid(t *testing.T) {
	t.Parallel()
	_, err := rubric.LoadFS(gone{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotErrorIs(t, err, rubric.ErrInvalid)
}

// gone is a folder that has been removed.
type gone struct{}

func (gone) Open(string) (fs.File, error) { return nil, fs.ErrNotExist }

func TestOverlayReplacesAndExtends(t *testing.T) {
	t.Parallel()
	ours, theirs, more := setOf(t, "a", "q"), setOf(t, "a", "r"), setOf(t, "c", "q")
	b := setOf(t, "b", "q")
	require.Equal(t, []*rubric.Set{theirs, b, more}, rubric.Overlay([]*rubric.Set{ours, b}, []*rubric.Set{more, theirs}))
	require.Equal(t, []*rubric.Set{ours}, rubric.Overlay([]*rubric.Set{ours}, nil))
}
