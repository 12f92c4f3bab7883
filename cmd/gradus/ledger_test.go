package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
)

// The short form is part of every run of the tests; `make chaos` runs the long one.
var (
	ledgerItems = flag.Int("ledger.items", 600, "answers that the ledger test submits")
	ledgerTime  = flag.Duration("ledger.time", 12*time.Second, "how long the ledger test plays faults")
	ledgerSeed  = flag.Uint64("ledger.seed", 1, "what the ledger test draws its faults from")
)

// TestLedger proves the promises about batches as callers meet them, who read
// nothing but the public API: services, workers and Redis are killed at moments
// of chance, the network to Redis fails in its ways and the model in its own.
// Every answer that was accepted has one end, the counts add up whenever they
// are read, no reader ever sees two results of one answer, no key is accepted
// twice, no failure becomes a score, and almost nothing is paid for twice.
func TestLedger(t *testing.T) {
	t.Parallel()
	t.Logf("replay with -ledger.seed=%d -ledger.items=%d -ledger.time=%v", *ledgerSeed, *ledgerItems, *ledgerTime)
	model := newMoody(t, *ledgerSeed)
	f := newFleet(t, 2, 2, "OPENAI_BASE_URL="+model.URL, "GRADUS_CONCURRENCY=4", "GRADUS_GRADE_TIMEOUT=6s")
	l := &ledger{t: t, fleet: f, model: model}

	chance := rand.New(rand.NewPCG(*ledgerSeed, 1))
	l.plan(*ledgerItems, chance)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range 2 {
		running.Go(func() { l.read(ctx, i) })
	}
	// Spread over most of the time, so that no fault is met by idle workers only.
	spread := *ledgerTime * 2 / 3 / time.Duration(len(l.batches))
	var submitting sync.WaitGroup
	for i, b := range l.batches {
		submitting.Go(func() {
			pass(spread * time.Duration(i))
			l.submit(ctx, b)
		})
	}
	for _, line := range f.torment(chance, *ledgerTime) {
		t.Log(line)
	}
	calm := time.Now()
	submitting.Wait()
	for _, b := range l.batches {
		l.awaitEnd(b, calm.Add(ledgerPatience(*ledgerItems)))
		t.Logf("%s was over %.1fs after the last fault", b.name, time.Since(calm).Seconds())
	}
	cancel()
	running.Wait() // or they would write while the audit reads
	l.audit()
	f.retire()
}

// ledgerPatience bounds how long batches may take once nothing fails but the
// model: the lease of a dead worker, its keeper's, what breakers wait at most,
// and then the work there is.
func ledgerPatience(items int) time.Duration {
	return 2*time.Minute + time.Duration(items)*50*time.Millisecond
}

// ledger is what was submitted, and what readers have seen of it.
type ledger struct {
	t       *testing.T
	fleet   *fleet
	model   *moody
	batches []*ledgerBatch
	given   map[int]int // how often each answer was submitted
}

// ledgerBatch is one submission. What is in the mutex's reach changes.
type ledgerBatch struct {
	name    string
	body    string
	answers map[string]int // the number of the answer to each id; below 0: blank
	crowd   int            // how many submit it at once
	cancel  bool           // half way through

	mu    sync.Mutex
	id    string
	rows  map[int][]byte
	last  api.Batch
	ended chan struct{}
}

// plan makes batches of different sizes. Some answers are given again and again.
func (l *ledger) plan(items int, chance *rand.Rand) {
	l.given = map[int]int{}
	next, round := 0, min(items, 600)
	for left, i := items, 0; left > 0; i++ {
		size := min(left, []int{1, round / 4, round / 6, 17, round / 8, round / 4}[i%6])
		left -= size
		b := &ledgerBatch{
			name: fmt.Sprint("batch-", i), answers: map[string]int{}, rows: map[int][]byte{}, ended: make(chan struct{}),
			crowd: 1 + i%3, cancel: i%6 == 2,
		}
		if i%6 == 1 {
			b.crowd = 50
		}
		var body strings.Builder
		for j := range size {
			n := next
			switch chance.IntN(20) {
			case 0:
				n = -1
			case 1:
				n = chance.IntN(next + 1)
			default:
				next++
			}
			text := "  "
			if n >= 0 {
				text = answerNo(n)
				l.given[n]++
			}
			id := fmt.Sprintf("item-%d", j)
			b.answers[id] = n
			fmt.Fprintf(&body, `{"id":%q,"question":%s,"answer":%q}`+"\n", id, rotaQuestion, text)
		}
		b.body = body.String()
		l.batches = append(l.batches, b)
	}
}

// submit sends a batch from a crowd at once, each of whom goes on until it is
// accepted.
func (l *ledger) submit(ctx context.Context, b *ledgerBatch) {
	var crowd sync.WaitGroup
	for i := range b.crowd {
		crowd.Go(func() {
			for try := i; ctx.Err() == nil; try++ {
				attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
				status, header, reply, err := l.fleet.ask(attempt, try, http.MethodPost, "/v1/batches", b.body,
					"Content-Type", api.MediaNDJSON, "Idempotency-Key", b.name)
				cancel()
				switch {
				case err == nil && status == http.StatusAccepted:
					var got api.Batch
					if !assert.NoError(l.t, json.Unmarshal(reply, &got)) || !assert.True(l.t, got.Durable) {
						return
					}
					b.accepted(l.t, got.ID)
					return
				case err == nil && status != http.StatusConflict && status != http.StatusTooManyRequests && status < 500:
					assert.Fail(l.t, "a good batch is refused", "%d: %s", status, reply)
					return
				case err == nil && status == http.StatusInternalServerError:
					assert.Fail(l.t, "a fault that nobody foresaw", "%s", reply)
				}
				wait := 300 * time.Millisecond
				if s, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
					wait = min(time.Duration(s)*time.Second, 2*time.Second)
				}
				pass(wait)
			}
		})
	}
	crowd.Wait()
}

// accepted notes the id, which is the same for everybody.
func (b *ledgerBatch) accepted(t *testing.T, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.id == "" {
		b.id = id
	}
	assert.Equal(t, b.id, id, "one key, one batch")
}

func (b *ledgerBatch) named() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.id
}

// read looks at everything over and over, now at this service and now at that.
func (l *ledger) read(ctx context.Context, reader int) {
	seen := map[string]api.Batch{}
	for round := reader; ctx.Err() == nil; round++ {
		for _, b := range l.batches {
			id := b.named()
			if id == "" {
				continue
			}
			status, _, reply, err := l.fleet.ask(ctx, round, http.MethodGet, "/v1/batches/"+id, "")
			if err == nil && l.answered(status, reply) {
				var now api.Batch
				if assert.NoError(l.t, json.Unmarshal(reply, &now)) {
					l.counts(b, seen[id], now)
					seen[id] = now
				}
			}
			status, _, reply, err = l.fleet.ask(ctx, round, http.MethodGet, "/v1/batches/"+id+"/results", "")
			if (err == nil && l.answered(status, reply)) || (err != nil && status == http.StatusOK) {
				l.rows(b, reply)
			}
			if last := seen[id]; b.cancel && 3*last.Pending < 2*last.Total && !last.Over() {
				_, _, _, _ = l.fleet.ask(ctx, round, http.MethodDelete, "/v1/batches/"+id, "") // again next time, if it failed
			}
		}
		pass(100 * time.Millisecond)
	}
}

// answered reports whether a reader got what it asked for; else the service
// must have said that the store is away.
func (l *ledger) answered(status int, reply []byte) bool {
	if status == http.StatusOK {
		return true
	}
	assert.Contains(l.t, []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}, status, "%s", reply)
	return false
}

// counts checks the counts of a batch against themselves and against those that
// the same reader saw before.
func (l *ledger) counts(b *ledgerBatch, before, now api.Batch) {
	assert.Equal(l.t, len(b.answers), now.Total, b.name)
	assert.Equal(l.t, now.Total, now.Graded+now.NeedsReview+now.Failed+now.Cancelled+now.Pending, "%s: %+v", b.name, now)
	for what, pair := range map[string][2]int{
		"graded": {before.Graded, now.Graded}, "needs_review": {before.NeedsReview, now.NeedsReview},
		"failed": {before.Failed, now.Failed}, "cancelled": {before.Cancelled, now.Cancelled}, "cached": {before.Cached, now.Cached},
	} {
		assert.LessOrEqual(l.t, pair[0], pair[1], "%s: %s goes back", b.name, what)
	}
	if before.Over() {
		assert.Equal(l.t, before, now, "what is over changes no more")
	}
	if now.Over() {
		assert.Zero(l.t, now.Pending, b.name)
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.last.Over() {
			close(b.ended)
		}
		b.last = now
	}
}

// rows notes the rows of a reply, which may have been cut short, and compares
// those that were seen before.
func (l *ledger) rows(b *ledgerBatch, reply []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := -1
	for line := range bytes.Lines(reply) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return
		}
		var row api.ResultRow
		if !assert.NoError(l.t, json.Unmarshal(line, &row), "%s", line) {
			return
		}
		assert.Greater(l.t, row.Index, before, "%s: rows come in order, each once", b.name)
		before = row.Index
		if seen, again := b.rows[row.Index]; again {
			assert.Equal(l.t, string(seen), string(line), "%s: a row that was seen changed", b.name)
			continue
		}
		b.rows[row.Index] = bytes.Clone(line)
		l.row(b, &row)
	}
}

// row checks a row that is seen for the first time.
func (l *ledger) row(b *ledgerBatch, row *api.ResultRow) {
	at := fmt.Sprintf("%s, %s", b.name, row.ID)
	n, known := b.answers[row.ID]
	assert.True(l.t, known, "%s: nobody submitted it", at)
	assert.Equal(l.t, fmt.Sprint("item-", row.Index), row.ID)
	switch row.Status {
	case api.RowGraded, api.RowNeedsReview:
		if !assert.NotNil(l.t, row.Grade, at) {
			return
		}
		assert.Nil(l.t, row.Error, at)
		score := row.Grade.Score
		switch {
		case n < 0:
			assert.Zero(l.t, *score, "%s: a blank answer", at)
		case score != nil:
			assert.InDelta(l.t, scoreOf(n), *score, 0, "%s: the model judged otherwise", at)
			assert.True(l.t, l.model.isJudged(n), "%s: a score without a judgement", at)
			assert.False(l.t, row.Grade.Provenance.Degraded, at)
			l.model.seen(n)
		default:
			assert.Equal(l.t, api.RowNeedsReview, row.Status, at)
		}
	case api.RowFailed:
		assert.Nil(l.t, row.Grade, at)
		if assert.NotNil(l.t, row.Error, at) {
			assert.Contains(l.t, row.Error.Type, "worker-crash", "%s: nothing else here fails for ever", at)
		}
	case api.RowCancelled:
		assert.Nil(l.t, row.Grade, at)
		assert.True(l.t, b.cancel, at)
	default:
		assert.Fail(l.t, "no end", "%s: %s", at, row.Status)
	}
}

// awaitEnd waits until a reader has seen the end of a batch.
func (l *ledger) awaitEnd(b *ledgerBatch, deadline time.Time) {
	l.t.Helper()
	select {
	case <-b.ended:
	case <-time.After(time.Until(deadline)):
		_, _, reply, err := l.fleet.ask(l.t.Context(), 0, http.MethodGet, "/v1/batches/"+b.named(), "")
		require.Fail(l.t, "a batch does not end", "%s: %v %s\n%s", b.name, err, reply, l.fleet.workers[0])
	}
}

// audit balances the ledger once all is over.
func (l *ledger) audit() {
	failed, unscored, scored, items := 0, 0, 0, 0
	for i, b := range l.batches {
		status, _, reply, err := l.fleet.ask(l.t.Context(), i, http.MethodGet, "/v1/batches/"+b.id+"/results", "")
		require.NoError(l.t, err)
		require.Equal(l.t, http.StatusOK, status)
		l.rows(b, reply)
		require.Len(l.t, b.rows, len(b.answers), "%s: every answer has its end", b.name)
		ends := map[api.RowStatus]int{}
		for _, line := range b.rows {
			var row api.ResultRow
			require.NoError(l.t, json.Unmarshal(line, &row))
			ends[row.Status]++
			if row.Grade != nil && row.Grade.Score == nil {
				unscored++
			}
		}
		require.Equal(l.t, []int{b.last.Graded, b.last.NeedsReview, b.last.Failed, b.last.Cancelled},
			[]int{ends[api.RowGraded], ends[api.RowNeedsReview], ends[api.RowFailed], ends[api.RowCancelled]}, b.name)
		items += len(b.answers)
		failed += ends[api.RowFailed]
		scored += ends[api.RowGraded] + ends[api.RowNeedsReview]

		calls := l.model.Calls()
		status, header, reply, err := l.fleet.ask(l.t.Context(), i, http.MethodPost, "/v1/batches", b.body,
			"Content-Type", api.MediaNDJSON, "Idempotency-Key", b.name)
		require.NoError(l.t, err)
		require.Equal(l.t, http.StatusAccepted, status, "%s", reply)
		require.Equal(l.t, "true", header.Get("Idempotency-Replayed"))
		require.Contains(l.t, string(reply), b.id, "the same batch to the end")
		require.Equal(l.t, calls, l.model.Calls(), "asking again costs nothing")
	}
	accepted, err := l.fleet.redis.Client(l.t).Keys(l.t.Context(), "*batch:*:ba_*").Result()
	require.NoError(l.t, err)
	require.Len(l.t, accepted, len(l.batches), "nobody's second batch is left lying about")
	require.LessOrEqual(l.t, failed*100, items, "a worker is seldom killed three times over one answer")

	m := l.model
	m.mu.Lock()
	defer m.mu.Unlock()
	again, wasted, missed := 0, 0, 0
	for n, times := range m.judged {
		again += times - 1
		if l.given[n] == 1 {
			wasted += m.wasted[n]
		} else {
			missed += m.wasted[n]
		}
	}
	l.t.Logf("%d items in %d batches: %d with a grade, %d of those without a score, %d failed", items, len(l.batches), scored, unscored, failed)
	l.t.Logf("%d calls about %d answers: %d judged again after a crash, %d after their row was read, %d in other batches while kept grades were out of reach; moods %v",
		m.calls, len(m.asked), again, wasted, missed, m.moods)
	require.Less(l.t, wasted*100, items, "what has a grade is hardly ever paid for again")
	// An answer that is given again in another batch costs a call where kept
	// grades cannot be reached at that moment, and only then.
	require.Less(l.t, missed*10, items)
	require.Zero(l.t, m.moods["asked about nothing"])
}
