package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store/storetest"
	"github.com/gradus-ai/gradus/prompts"
)

// cluster is processes over one Redis and one model, which knows them apart by
// their keys.
type cluster struct {
	t     *testing.T
	redis *storetest.Server
	model *llmtest.Server

	mu    sync.Mutex
	named map[string]*process
}

func newCluster(t *testing.T, steps ...llmtest.Step) *cluster {
	t.Helper()
	return &cluster{t: t, redis: storetest.Start(t), model: llmtest.New(t, steps...), named: map[string]*process{}}
}

// serve starts a service that asks the model by that name.
func (c *cluster) serve(name string, more ...string) *process {
	c.t.Helper()
	p := startServe(c.t, append([]string{
		"REDIS_URL=" + c.redis.TCPURL(), "OPENAI_BASE_URL=" + c.model.URL, "OPENAI_API_KEY=" + name,
		"GRADUS_GRADE_TIMEOUT=60s", "LOG_LEVEL=info",
	}, more...)...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named[name] = p
	return p
}

// asker is the name of the process that a request comes from.
func asker(r llmtest.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// kill9 ends a process by its name. The model may call it.
func (c *cluster) kill9(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.named[name].cmd.Process.Kill() // it may be dead by now
}

// batchOf is an upload of so many different answers.
func batchOf(n int) string {
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, `{"id":"item-%d","question":%s,"answer":%q}`+"\n", i, rotaQuestion, answerNo(2*i))
	}
	return body.String()
}

// whole is the model's reply to any answer of batchOf.
var whole = llmtest.Reply(judgement(0))

func call(p *process, method, path, body string, headers ...string) (int, []byte, error) {
	f := fleet{servers: []*process{p}, client: clientFor(p.t)}
	status, _, reply, err := f.ask(p.t.Context(), 0, method, path, body, headers...)
	return status, reply, err
}

// submit posts a batch; the error is one of the connection.
func submit(p *process, key, body string) (int, api.Batch, error) {
	status, reply, err := call(p, http.MethodPost, "/v1/batches", body, "Content-Type", api.MediaNDJSON, "Idempotency-Key", key)
	var b api.Batch
	if err == nil && status == http.StatusAccepted {
		err = json.Unmarshal(reply, &b)
	}
	return status, b, err
}

// submitted is the id of a batch that had to be accepted.
func submitted(p *process, body string) string {
	p.t.Helper()
	status, b, err := submit(p, p.t.Name(), body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusAccepted, status)
	return b.ID
}

// get reads something. On a busy machine a Redis may answer too late: the caller
// is told to come again.
func (p *process) get(path string) (reply []byte) {
	p.t.Helper()
	status := http.StatusServiceUnavailable
	require.Eventually(p.t, func() bool {
		var err error
		status, reply, err = call(p, http.MethodGet, path, "")
		return err != nil || status != http.StatusServiceUnavailable
	}, patience, 100*time.Millisecond, "%s", p)
	require.Equal(p.t, http.StatusOK, status, "%s", reply)
	return reply
}

// batch reads a batch.
func (p *process) batch(id string) api.Batch {
	p.t.Helper()
	var b api.Batch
	require.NoError(p.t, json.Unmarshal(p.get("/v1/batches/"+id), &b))
	return b
}

// becomes waits until a batch is as wanted.
func (p *process) becomes(id string, within time.Duration, wanted func(*api.Batch) bool) api.Batch {
	p.t.Helper()
	var b api.Batch
	require.Eventually(p.t, func() bool { b = p.batch(id); return wanted(&b) }, within, 50*time.Millisecond, "%s", p)
	return b
}

func over(b *api.Batch) bool { return b.Over() }

// overOrDead waits until a batch is over, and returns true, or this process is.
func (p *process) overOrDead(id string) (isOver bool) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		select {
		case <-p.done:
			return true
		default:
		}
		status, reply, err := call(p, http.MethodGet, "/v1/batches/"+id, "")
		var b api.Batch
		isOver = err == nil && status == http.StatusOK && json.Unmarshal(reply, &b) == nil && b.Over()
		return isOver
	}, time.Minute, 100*time.Millisecond, "%s", p)
	return isOver
}

// rows reads all results.
func (p *process) rows(id string) []api.ResultRow {
	p.t.Helper()
	var rows []api.ResultRow
	for line := range strings.Lines(string(p.get("/v1/batches/" + id + "/results"))) {
		var row api.ResultRow
		require.NoError(p.t, json.Unmarshal([]byte(line), &row))
		rows = append(rows, row)
	}
	return rows
}

// graded demands that a batch is over and every answer of it has its full score.
func (p *process) graded(id string, n int) {
	p.t.Helper()
	b := p.batch(id)
	require.Equal(p.t, []any{api.BatchCompleted, n, n}, []any{b.Status, b.Total, b.Graded}, "%+v", b)
	rows := p.rows(id)
	require.Len(p.t, rows, n)
	for _, row := range rows {
		require.InDelta(p.t, 100, *row.Grade.Score, 0)
	}
}

// Fault 1: a service is killed right after it said 202.
func TestABatchOutlivesTheServiceThatAcceptedIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, llmtest.Always(func(llmtest.Request) llmtest.Step { return llmtest.Slow(50*time.Millisecond, whole) }))
	first := c.serve("first", "GRADUS_CONCURRENCY=1")
	id := submitted(first, batchOf(40))
	first.signal(syscall.SIGKILL)
	second := c.serve("second")
	status, again, err := submit(second, t.Name(), batchOf(40))
	require.NoError(t, err)
	require.Equal(t, []any{http.StatusAccepted, id}, []any{status, again.ID}, "asked again it is the same batch")
	second.becomes(id, patience, over) // 20 seconds are promised, the rest is for grading
	second.graded(id, 40)
}

// Fault 2: a service is killed while it takes a batch in. There is the whole of
// it or nothing, and asking again makes one.
func TestABatchIsAcceptedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	const tries, items = 20, 600
	c := newCluster(t)
	lexical := []string{"GRADUS_JUDGE=lexical"}
	chance := rand.New(rand.NewPCG(2, 2))
	body := batchOf(items)
	accepted := map[string]string{}
	p := c.serve("0", lexical...)
	for i := range tries {
		key := fmt.Sprint("key-", i)
		done := make(chan struct{})
		var status int
		var b api.Batch
		var err error
		go func() {
			defer close(done)
			status, b, err = submit(p, key, body)
		}()
		select {
		case <-time.After(time.Duration(chance.IntN(300)) * time.Millisecond):
		case <-done:
		}
		p.signal(syscall.SIGKILL)
		<-done
		if err == nil && status == http.StatusAccepted {
			accepted[key] = b.ID
		}
		p = c.serve(fmt.Sprint(i+1), lexical...)
	}
	t.Logf("%d of %d had their answer before the end", len(accepted), tries)
	seen := map[string]bool{}
	for i := range tries {
		key := fmt.Sprint("key-", i)
		var b api.Batch
		require.Eventually(t, func() bool {
			status, got, err := submit(p, key, body)
			b = got
			require.NoError(t, err)
			require.Contains(t, []int{http.StatusAccepted, http.StatusConflict}, status)
			return status == http.StatusAccepted
		}, 2*time.Minute, 250*time.Millisecond)
		require.Equal(t, items, b.Total)
		if id, was := accepted[key]; was {
			require.Equal(t, id, b.ID, "what was accepted is found again")
		}
		seen[b.ID] = true
	}
	for id := range seen {
		p.becomes(id, time.Minute, over)
		require.Len(t, p.rows(id), items)
	}
	kept, err := c.redis.Client(t).Keys(t.Context(), "*batch:*:ba_*").Result()
	require.NoError(t, err)
	require.Len(t, kept, tries, "one batch for each key")
}

// Fault 3, promise P4: a worker is killed in the middle of a call.
func TestTheWorkOfAKilledProcessIsDoneWithinTwentySeconds(t *testing.T) {
	t.Parallel()
	victim := make(chan string, 1)
	c := newCluster(t, llmtest.Func(func(r llmtest.Request) llmtest.Step {
		victim <- asker(r)
		return llmtest.Hang()
	}), whole)
	processes := map[string]*process{"a": c.serve("a"), "b": c.serve("b")}
	id := submitted(processes["a"], batchOf(1))
	name := <-victim
	c.kill9(name)
	died := time.Now()
	delete(processes, name)
	for _, survivor := range processes {
		survivor.becomes(id, patience, over)
		require.Less(t, time.Since(died), 20*time.Second)
		survivor.graded(id, 1)
	}
	require.Equal(t, 2, c.model.Calls())
}

// Fault 5: one answer brings down whoever grades it. It fails alone.
func TestAnAnswerThatKillsProcessesFailsAlone(t *testing.T) {
	t.Parallel()
	poison := answerNo(2 * 3)[:len(secretWord)+2] // of item-3
	var c *cluster
	c = newCluster(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		if strings.Contains(r.Text(), poison) {
			c.kill9(asker(r))
			return llmtest.Hang()
		}
		return whole
	}))
	reader, killed := c.serve("first"), 0
	id := submitted(reader, batchOf(6))
	for !reader.overOrDead(id) {
		killed++
		require.LessOrEqual(t, killed, 4, "once in company, then alone")
		reader = c.serve(fmt.Sprint("after ", killed))
	}
	b := reader.batch(id)
	require.Equal(t, []int{6, 5, 1}, []int{b.Total, b.Graded, b.Failed}, "%+v", b)
	row := reader.rows(id)[3]
	require.Equal(t, api.RowFailed, row.Status)
	require.Contains(t, row.Error.Type, "worker-crash")
	require.GreaterOrEqual(t, killed, 3)
}

// Faults 56 and 57, promises P15 and P20: a process that is told to stop, twice,
// finishes what it has begun and hands back the rest, to one with other prompts.
func TestARollingDeploymentLosesNothingAndSaysThatItMixed(t *testing.T) {
	t.Parallel()
	const items = 40
	release := make(chan struct{})
	c := newCluster(t, llmtest.Hold(release, whole), llmtest.Always(func(llmtest.Request) llmtest.Step { return whole }))
	old := c.serve("old", "GRADUS_CONCURRENCY=1")
	id := submitted(old, batchOf(items))
	c.model.Arrived(1)
	old.signal(syscall.SIGTERM)
	old.signal(syscall.SIGTERM)
	began := time.Now()
	folder := otherPrompts(t)
	next := c.serve("new", "GRADUS_PROMPTS="+folder)
	close(release)
	require.Equal(t, 0, old.exits())
	require.Less(t, time.Since(began), 20*time.Second)
	b := next.becomes(id, time.Minute, over)
	next.graded(id, items)
	require.True(t, b.Mixed)
	digests := map[string]int{}
	for _, row := range next.rows(id) {
		digests[row.Grade.Provenance.PromptDigest]++
	}
	require.Len(t, digests, 2, "each row names its own")
	require.Equal(t, items, c.model.Calls(), "nothing was begun twice")
}

// otherPrompts is a folder with prompts of another version.
func otherPrompts(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	entries, err := prompts.FS.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		raw, err := prompts.FS.ReadFile(e.Name())
		require.NoError(t, err)
		if e.Name() == "rules.v1.tmpl" {
			raw = append([]byte("Take your time.\n"), raw...)
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, e.Name()), raw, 0o600))
	}
	return folder
}

// Faults 23 and 35: the model's quota is spent, or its key revoked, in the
// middle of a batch. The batch waits, nothing fails, and it goes on with a new
// key.
func TestABatchWaitsForAKeyThatWorks(t *testing.T) {
	t.Parallel()
	for reason, refusal := range map[string]llmtest.Step{
		"model_quota_spent": llmtest.Failure(http.StatusTooManyRequests, "insufficient_quota", "no money"),
		"model_key_refused": llmtest.Failure(http.StatusUnauthorized, "invalid_api_key", "no key"),
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			const items = 40
			var mu sync.Mutex
			good := 0
			c := newCluster(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
				mu.Lock()
				defer mu.Unlock()
				if good++; asker(r) == "old" && good > 5 {
					return refusal
				}
				return whole
			}))
			old := c.serve("old", "GRADUS_CONCURRENCY=2")
			id := submitted(old, batchOf(items))
			b := old.becomes(id, patience, func(b *api.Batch) bool { return b.Status == api.BatchPaused })
			require.Equal(t, reason, b.PausedReason)
			require.Zero(t, b.Failed)
			old.signal(syscall.SIGTERM)
			require.Equal(t, 0, old.exits())
			next := c.serve("new")
			next.becomes(id, 2*time.Minute, over)
			next.graded(id, items)
		})
	}
}

// Fault 9: Redis is about to be full.
func TestAFullRedisRefusesBatchesAndEndsThoseItHas(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := newCluster(t, llmtest.Hold(release, whole), llmtest.Always(func(llmtest.Request) llmtest.Step { return whole }))
	p := c.serve("only")
	id := submitted(p, batchOf(20))
	c.model.Arrived(1)
	redis := c.redis.Client(t)
	used, err := redis.InfoMap(t.Context(), "memory").Result()
	require.NoError(t, err)
	var bytes int64
	_, err = fmt.Sscan(used["Memory"]["used_memory"], &bytes)
	require.NoError(t, err)
	require.NoError(t, redis.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(bytes*100/88)).Err())
	require.Eventually(t, func() bool {
		status, reply, err := call(p, http.MethodPost, "/v1/batches", batchOf(1), "Content-Type", api.MediaNDJSON)
		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(string(reply), "storage-full")
	}, patience, 100*time.Millisecond, "refused before it is full")
	close(release)
	p.becomes(id, patience, over)
	p.graded(id, 20)
	require.NoError(t, redis.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.Eventually(t, func() bool {
		status, _, err := submit(p, "later", batchOf(1))
		return err == nil && status == http.StatusAccepted
	}, patience, 100*time.Millisecond, "taken in again")
}
