package store

import (
	"fmt"
	"math"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gradus-ai/gradus/internal/grading"
)

// memory is the cache in front: bounded by bytes, with W-TinyLFU admission, so
// that a batch of answers seen once does not drive out those asked for again.
type memory struct {
	cache    *otter.Cache[grading.Key, kept]
	maxBytes uint64
	now      func() time.Time
}

// kept is a record and when it stops being valid.
type kept struct {
	record  *grading.Record
	expires int64 // Unix nanoseconds
}

func newMemory(maxBytes uint64, now func() time.Time) (*memory, error) {
	m := &memory{maxBytes: maxBytes, now: now}
	var err error
	m.cache, err = otter.New(&otter.Options[grading.Key, kept]{
		MaximumWeight: maxBytes,
		Weigher:       weigh,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[grading.Key, kept]) time.Duration {
			return max(time.Duration(e.Value.expires-now().UnixNano()), 1)
		}),
		Clock: clock(now),
	})
	if err != nil {
		return nil, fmt.Errorf("make memory cache: %w", err)
	}
	return m, nil
}

// entryOverhead is what the cache's own nodes, the record and its key headers
// take beside the text.
const entryOverhead = 512

// weigh estimates the bytes an entry takes. A record that somebody looks into
// holds the decoded grade beside its JSON: about one and a half times as much
// again, by the test that measures it.
func weigh(key grading.Key, k kept) uint32 {
	n := entryOverhead + len(key.Tenant) + len(key.ID) + 5*len(k.record.JSON())/2
	for _, reply := range k.record.Replies {
		n += len(reply)
	}
	return uint32(min(n, math.MaxUint32))
}

func (m *memory) get(key grading.Key) *grading.Record {
	k, ok := m.cache.GetIfPresent(key)
	if !ok {
		return nil
	}
	return k.record
}

// set keeps a record until expires. It keeps its own copy without the decoded
// grade, which callers of a hit seldom need.
func (m *memory) set(key grading.Key, r *grading.Record, expires time.Time) {
	k := kept{grading.RestoreRecord(r.JSON(), r.Spent, r.Replies), expires.UnixNano()}
	if !expires.After(m.now()) || uint64(weigh(key, k)) > m.maxBytes {
		// Let alone what was there before: that is no longer the grade.
		m.drop(key)
		return
	}
	m.cache.Set(key, k)
}

func (m *memory) drop(key grading.Key) { m.cache.Invalidate(key) }
func (m *memory) clear()               { m.cache.InvalidateAll() }
func (m *memory) close()               { m.cache.StopAllGoroutines() }

// clock lets the cache tell time by the store's clock.
type clock func() time.Time

// NowNano implements otter.Clock.
func (c clock) NowNano() int64 { return c().UnixNano() }

// Tick implements otter.Clock: expired entries are cleaned up in real time.
func (c clock) Tick(d time.Duration) <-chan time.Time { return time.Tick(d) }
