package batch_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
)

// ready has one grade for all answers.
type ready struct{ result grading.Result }

func (r ready) Grade(context.Context, grading.Request) (grading.Result, error) { return r.result, nil }

// BenchmarkChunk is what the engine adds to grading, by item: claiming a chunk,
// thawing its question, running its items and keeping the results, over a store
// of maps and with a grader that does nothing.
func BenchmarkChunk(b *testing.B) {
	h := newHouse(b)
	result, err := gradeOf(grading.Request{Question: question("q"), Judge: grading.Lexical, Answer: "x"}, "", true)
	require.NoError(b, err)
	w := h.worker(func(c *batch.WorkerConfig) { c.Grader = ready{result} })
	rec := h.begin(batch.Options{Judge: grading.Lexical}, "")
	items := 0
	fill := func() {
		for i := range batch.ChunkItems * 500 {
			require.NoError(b, rec.Add(b.Context(), itemID(i), i, question("q"), "answer "+strconv.Itoa(i)))
		}
		_, _, err := rec.Commit(b.Context(), "")
		require.NoError(b, err)
	}
	fill()
	given, next := h.queue.Given(), 0
	b.ReportAllocs()
	for b.Loop() {
		if next == len(given) {
			b.StopTimer()
			h = newHouse(b)
			w = h.worker(func(c *batch.WorkerConfig) { c.Grader = ready{result} })
			rec, next = h.begin(batch.Options{Judge: grading.Lexical}, ""), 0
			fill()
			given = h.queue.Given()
			b.StartTimer()
		}
		require.NoError(b, w.Handle(b.Context(), given[next]))
		next++
		items += batch.ChunkItems
	}
	b.ReportMetric(float64(b.Elapsed())/float64(items), "ns/item")
}

// BenchmarkTakingIn is the upload of a batch of 10,000 items.
func BenchmarkTakingIn(b *testing.B) {
	const items = 10_000
	all := answers(items)
	b.ReportAllocs()
	for b.Loop() {
		h := newHouse(b)
		d := h.begin(batch.Options{Judge: grading.Lexical}, "")
		for i, answer := range all {
			require.NoError(b, d.Add(b.Context(), itemID(i), i, question("q"+strconv.Itoa(i%20)), answer))
		}
		_, _, err := d.Commit(b.Context(), "")
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N*items), "ns/item")
}
