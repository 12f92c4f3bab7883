package store_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// prose makes text that compresses about as text does.
func prose(r *rand.Rand, words int) string {
	const vocabulary = `the a we I to of and in that it for on with as was at by this team release service build test alert owner plan week month cost risk
		change measure before after because until deploy review rollback incident metric pipeline template platform engineer user question answer time
		first second small large fast slow safe ready next last every people work code data error log queue store budget target result number goal step`
	list := strings.Fields(vocabulary)
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		// Squared: some words are much more frequent than others.
		f := r.Float64()
		b.WriteString(list[int(f*f*float64(len(list)))])
		if r.IntN(12) == 0 {
			b.WriteString(strconv.Itoa(r.IntN(1000)) + ".")
		}
	}
	return b.String()
}

// benchGrade is JSON of some four kilobytes in the shape of a grade.
func benchGrade(r *rand.Rand, answer string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"gr_%032x","status":"graded","question_id":"lead/first","score":%.1f,"grade":"solid","criteria":[`, r.Uint64(), 100*r.Float64())
	for i := range 8 {
		if i > 0 {
			b.WriteByte(',')
		}
		from := r.IntN(len(answer) / 2)
		fmt.Fprintf(&b, `{"id":"criterion-%d","kind":"core","verdict":"met","credit":%.2f,"points":%.1f,"max_points":%d,"evidence":[{"quote":%q,"start":%d,"end":%d}],"comment":%q,"confidence":%.2f}`,
			i, r.Float64(), 10*r.Float64(), 10+i, answer[from:from+90], from, from+90, prose(r, 10), r.Float64())
	}
	fmt.Fprintf(&b, `],"feedback":{"summary":%q,"strengths":[{"criterion_id":"criterion-1","text":%q}],"improvements":[`, prose(r, 25), prose(r, 20))
	for i := range 3 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"criterion_id":"criterion-%d","text":"Say which one you mean, and how you would tell that it has worked.","starter":"In concrete terms: [your point], because [your reason].","points":%.1f}`, i, 10*r.Float64())
	}
	fmt.Fprintf(&b, `],"follow_up":"What would you leave out?"},"integrity":{"flags":[],"spans":[]},"review":{"needed":false,"reasons":[]},"provenance":{"judge":"model","model":"m","rubric_digest":"sha256:%064x","prompt_digest":"sha256:%064x","graded_at":"2026-11-25T03:13:35Z","degraded":false},"usage":{"calls":1,"prompt_tokens":%d,"cached_tokens":0,"completion_tokens":%d,"cost_usd":0.00012}}`, 1, 2, r.IntN(2000), r.IntN(500))
	return []byte(b.String())
}

// benchBatch is a batch of n items of 150 words each, and their results.
type benchBatch struct {
	b     *store.Batches
	rec   batch.Batch
	r     *rand.Rand
	bytes int // of answers
}

func stageBench(tb testing.TB, b *store.Batches, n int) *benchBatch {
	tb.Helper()
	x := &benchBatch{b: b, r: rand.New(rand.NewPCG(1, 2)), rec: batch.Batch{
		Key: batch.Key{Tenant: "acme", ID: "ba_" + strconv.FormatInt(time.Now().UnixNano(), 36)}, Total: n, Durable: true,
		Options: batch.Options{Judge: "model"},
	}}
	question := []byte(`{"version":1,"question":"` + prose(x.r, 800) + `"}`)
	for index := 0; index < n; x.rec.Chunks++ {
		c := batch.Chunk{Index: x.rec.Chunks, Question: question}
		for ; index < n && len(c.Items) < batch.ChunkItems; index++ {
			c.Items = append(c.Items, batch.Item{Index: index, ID: fmt.Sprintf("candidate-%06d", index), Answer: prose(x.r, 150)})
			x.bytes += len(c.Items[len(c.Items)-1].Answer)
		}
		if err := b.Stage(tb.Context(), x.rec.Key, c); err != nil {
			tb.Fatal(err)
		}
	}
	return x
}

func (x *benchBatch) commit(tb testing.TB) {
	tb.Helper()
	if _, err := x.b.Commit(tb.Context(), x.rec, nil, ""); err != nil {
		tb.Fatal(err)
	}
}

// results are as a worker delivers them.
func (x *benchBatch) results(items []batch.Item) (results []batch.Result, bytes int) {
	cost := .00012
	for _, item := range items {
		grade := benchGrade(x.r, item.Answer)
		bytes += len(grade)
		results = append(results, batch.Result{Index: item.Index, ID: item.ID, Status: batch.RowGraded, Grade: grade,
			GradeID: fmt.Sprintf("gr_%032x", x.r.Uint64()),
			Spent:   judge.Usage{Calls: 1, PromptTokens: 1500, CompletionTokens: 400, CostUSD: &cost}})
	}
	return results, bytes
}

// grade works all chunks off and returns the bytes of the grades.
func (x *benchBatch) grade(tb testing.TB) (bytes int) {
	tb.Helper()
	states, err := x.b.Chunks(tb.Context(), x.rec.Key)
	if err != nil {
		tb.Fatal(err)
	}
	for _, state := range states {
		claim, err := x.b.Claim(tb.Context(), state.Ref, "w")
		if err != nil {
			tb.Fatal(err)
		}
		results, n := x.results(claim.Chunk.Items)
		bytes += n
		if _, err := x.b.Complete(tb.Context(), claim, results, true); err != nil {
			tb.Fatal(err)
		}
	}
	return bytes
}

func eachBatchBackend(b *testing.B, run func(*testing.B, *store.Batches)) {
	for _, name := range []string{"redis", "embedded"} {
		b.Run(name, func(b *testing.B) { run(b, benchStore(b, batchBackends[name](b)).Batches()) })
	}
}

// Staging 16 items of a thousand bytes.
func BenchmarkBatchStage(b *testing.B) {
	eachBatchBackend(b, func(b *testing.B, s *store.Batches) {
		x := stageBench(b, s, 1)
		c := batch.Chunk{Question: []byte(prose(x.r, 800))}
		for i := range batch.ChunkItems {
			c.Items = append(c.Items, batch.Item{Index: i, ID: fmt.Sprintf("candidate-%06d", i), Answer: prose(x.r, 150)})
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Stage(b.Context(), x.rec.Key, c); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The longest that a batch of 50,000 items keeps Redis from doing anything else:
// committing, cancelling and purging it, by the clock of Redis.
func BenchmarkBatchBlocks(b *testing.B) {
	server := storetest.Start(b)
	s, c := benchStore(b, store.Config{URL: server.URL()}).Batches(), server.Client(b)
	spent := map[string]float64{}
	timed := func(what string, do func()) {
		if err := c.ConfigResetStat(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		do()
		for line := range strings.Lines(c.Info(b.Context(), "commandstats").Val()) {
			if !strings.HasPrefix(line, "cmdstat_eval") {
				continue
			}
			_, rest, _ := strings.Cut(line, "usec=")
			text, _, _ := strings.Cut(rest, ",")
			us, err := strconv.ParseFloat(text, 64)
			if err != nil {
				b.Fatal(err)
			}
			spent[what] += us / 1000
		}
	}
	for b.Loop() {
		x := stageBench(b, s, batch.MaxItems)
		timed("commit-ms", func() { x.commit(b) })
		timed("cancel-ms", func() {
			if _, err := s.Cancel(b.Context(), x.rec.Key); err != nil {
				b.Fatal(err)
			}
		})
		timed("purge-ms", func() {
			if err := s.Purge(b.Context(), x.rec.Key); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(0, "ns/op") // mostly of the staging
	for what, ms := range spent {
		b.ReportMetric(ms/float64(b.N), what)
	}
}

// Keeping 8 results of some four kilobytes and counting them.
func BenchmarkBatchComplete(b *testing.B) {
	eachBatchBackend(b, func(b *testing.B, s *store.Batches) {
		const each = 8
		const n = 1600
		var x *benchBatch
		var claims []*batch.Claim
		begin := func() {
			x, claims = stageBench(b, s, n), nil
			x.commit(b)
			states, err := s.Chunks(b.Context(), x.rec.Key)
			if err != nil {
				b.Fatal(err)
			}
			for _, state := range states {
				claim, err := s.Claim(b.Context(), state.Ref, "w")
				if err != nil {
					b.Fatal(err)
				}
				claims = append(claims, claim)
			}
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%(n/each) == 0 {
				b.StopTimer()
				begin()
				b.StartTimer()
			}
			claim := claims[i%(n/each)/2]
			half := i % 2
			b.StopTimer()
			results, _ := x.results(claim.Chunk.Items[half*each : (half+1)*each])
			b.StartTimer()
			if _, err := s.Complete(b.Context(), claim, results, half == 1); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Reading 50,000 results in order, and what an item takes in Redis while it is
// pending and afterwards.
func BenchmarkBatchResults(b *testing.B) {
	server, prefix := storetest.Start(b), storetest.Prefix(b)
	s := benchStore(b, store.Config{URL: server.URL(), Prefix: prefix}).Batches()
	c := server.Client(b)
	before := usedMemory(b, c)
	x := stageBench(b, s, batch.MaxItems)
	x.commit(b)
	pending := usedMemory(b, c) - before
	grades := x.grade(b)
	graded := usedMemory(b, c) - before
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range s.Results(b.Context(), x.rec.Key, 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != batch.MaxItems {
			b.Fatal(n)
		}
	}
	per := func(n int) float64 { return float64(n) / batch.MaxItems }
	b.ReportMetric(per(int(b.Elapsed().Nanoseconds()))/float64(b.N), "ns/row")
	b.ReportMetric(per(x.bytes), "answer-B")
	b.ReportMetric(per(pending), "pending-B")
	b.ReportMetric(per(grades), "grade-B")
	b.ReportMetric(per(graded), "graded-B")
}

func usedMemory(b *testing.B, c *redis.Client) int {
	b.Helper()
	info, err := c.Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
