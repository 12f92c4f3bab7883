package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// factory is a service that batches are sent to over HTTP.
type factory struct {
	*testing.B
	app *app.App
	url string
}

// newFactory serves the program over a Redis of its own.
func newFactory(b *testing.B, cfg config.Config) *factory {
	b.Helper()
	folder := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(folder, "rota.yaml"), []byte(eightClaims), 0o600))
	cfg.Rubrics = folder
	cfg.RedisURL = config.Secret(storetest.Start(b, "--appendonly", "yes").TCPURL())
	a, err := app.New(b.Context(), &cfg, app.Options{Logger: slog.New(slog.DiscardHandler), RedisBudget: 5 * time.Second})
	require.NoError(b, err)
	return &factory{B: b, app: a, url: "http://" + listenWith(b, a)}
}

// submit uploads rows and returns the batch.
func (f *factory) submit(rows io.Reader) *api.Batch {
	f.Helper()
	resp, err := http.Post(f.url+"/v1/batches", "application/x-ndjson", rows)
	require.NoError(f, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(f, err)
	require.Equal(f, http.StatusAccepted, resp.StatusCode, "%s", raw)
	var made api.Batch
	require.NoError(f, json.Unmarshal(raw, &made))
	return &made
}

// follow reads every result as it is made, and returns the batch at its end.
func (f *factory) follow(made *api.Batch) *api.Batch {
	f.Helper()
	resp, err := http.Get(f.url + "/v1/batches/" + made.ID + "/results?wait=1")
	require.NoError(f, err)
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(f, err)
	client, err := api.NewClient(f.url, "", nil)
	require.NoError(f, err)
	over, err := client.Batch(f.Context(), made.ID)
	require.NoError(f, err)
	require.Equal(f, api.BatchCompleted, over.Status)
	require.Equal(f, over.Total, over.Graded+over.NeedsReview, "nothing failed")
	return over
}

// ndjson is n rows, made as they are read.
func ndjson(n int, row func(i int) string) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		for i := range n {
			if _, err := io.WriteString(writer, row(i)+"\n"); err != nil {
				return
			}
		}
		_ = writer.Close() // of a pipe: cannot fail
	}()
	return reader
}

var numbered atomic.Int64

func calm() string { return fmt.Sprintf("%s%010d.", calmAnswer, numbered.Add(1)) }

func calmRow(i int) string {
	return fmt.Sprintf(`{"id":"c-%d","question_id":"rota/calm","answer":%q}`, i, calm())
}

// BenchmarkBatchLexical grades 10,000 answers of 150 words without a model: as a
// batch, from the first byte of the upload to the last result read, through HTTP,
// Redis with its append-only file and the queue, and in a plain loop over the
// grading service on as many goroutines as there are processors. x-loop is the
// batch's throughput over the loop's, in one process on one machine that also
// runs Redis.
func BenchmarkBatchLexical(b *testing.B) {
	const items = 10_000
	f := newFactory(b, settings(nil, ""))
	question, err := f.app.Library().Find("rota/calm")
	require.NoError(b, err)
	var ratios, rates []float64
	for b.Loop() {
		began := time.Now()
		crowded(b, runtime.GOMAXPROCS(0), items, func(*wire) error {
			_, err := f.app.Service().Grade(b.Context(), grading.Request{Tenant: "loop", Question: question, Answer: calm()})
			return err
		})
		loop := time.Since(began)
		began = time.Now()
		f.follow(f.submit(ndjson(items, calmRow)))
		whole := time.Since(began)
		ratios = append(ratios, loop.Seconds()/whole.Seconds())
		rates = append(rates, items/whole.Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(rates), "items/s")
	b.ReportMetric(middle(ratios), "x-loop")
}

// BenchmarkBatchModel grades 2,000 answers with a model that takes 200 ms, 20 at
// a time. x-ideal is the time over what 20 slots that are never free would take.
func BenchmarkBatchModel(b *testing.B) {
	const items, slots, latency = 2000, 20, 200 * time.Millisecond
	model := llmtest.New(b, always(llmtest.Slow(latency, generous)))
	cfg := settings(model, "")
	cfg.Concurrency = slots
	f := newFactory(b, cfg)
	question, err := json.Marshal(onCall())
	require.NoError(b, err)
	var ratios []float64
	for b.Loop() {
		before := model.Calls()
		began := time.Now()
		f.follow(f.submit(ndjson(items, func(i int) string {
			return fmt.Sprintf(`{"id":"m-%d","question":%s,"answer":"I would delete every alert that nobody acts on. After that I would write a runbook for every alert that stays. Case %d."}`, i, question, numbered.Add(1))
		})))
		took := time.Since(began)
		require.Equal(b, items, model.Calls()-before, "one call an answer")
		ratios = append(ratios, took.Seconds()/(items/slots*latency.Seconds()))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(ratios), "x-ideal")
}

// BenchmarkBatchSizes uploads 1,000, 10,000 and 50,000 answers of 1 KB and reads
// their results, all graded before: what is left is the batch itself. heap-MB is
// the most that the process held meanwhile, results and client included.
func BenchmarkBatchSizes(b *testing.B) {
	for _, items := range []int{1_000, 10_000, 50_000} {
		b.Run(fmt.Sprint(items), func(b *testing.B) {
			f := newFactory(b, settings(nil, ""))
			same := calm()
			row := func(i int) string {
				return fmt.Sprintf(`{"id":"c-%d","question_id":"rota/calm","answer":%q}`, i, same)
			}
			f.follow(f.submit(ndjson(1, row)))
			var perItem, heap []float64
			for b.Loop() {
				runtime.GC()
				most, stop := watchHeap()
				began := time.Now()
				f.follow(f.submit(ndjson(items, row)))
				perItem = append(perItem, float64(time.Since(began).Microseconds())/float64(items))
				stop()
				heap = append(heap, float64(most.Load())/(1<<20))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(middle(perItem), "us/item")
			b.ReportMetric(middle(heap), "heap-MB")
		})
	}
}

// watchHeap notes the most that is on the heap until stop is called.
func watchHeap() (most *atomic.Uint64, stop func()) {
	most = &atomic.Uint64{}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return most, func() { close(end); <-ended }
}

// BenchmarkBatchOfOne submits one answer and reads its result: what a small
// batch waits for.
func BenchmarkBatchOfOne(b *testing.B) {
	f := newFactory(b, settings(nil, ""))
	for b.Loop() {
		f.follow(f.submit(bytes.NewReader([]byte(calmRow(0) + "\n"))))
	}
}

// BenchmarkBatchCached submits 2,000 answers that are all graded already.
func BenchmarkBatchCached(b *testing.B) {
	const items = 2000
	f := newFactory(b, settings(nil, ""))
	rows := make([]string, items)
	for i := range rows {
		rows[i] = calmRow(i)
	}
	body := strings.Join(rows, "\n")
	f.follow(f.submit(strings.NewReader(body)))
	for b.Loop() {
		over := f.follow(f.submit(strings.NewReader(body)))
		require.Equal(b, items, over.Cached)
	}
}
