package store

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
)

// Stats counts what has happened since the store was opened.
type Stats struct {
	// MemoryHits and SharedHits are grades found in memory and in Redis;
	// Misses were computed for the caller; Shared had been computed for an
	// identical request in flight.
	MemoryHits, SharedHits, Misses, Shared uint64
	// Faults are operations on Redis that failed; Damaged are entries that
	// could not be believed.
	Faults, Damaged uint64
	// Skipping is true while Redis does not answer and is not asked; Trips
	// counts how often that began.
	Skipping bool
	Trips    uint64
	// MemoryEntries and MemoryBytes are estimates of what is in memory now.
	MemoryEntries int
	MemoryBytes   uint64
	// Following is how many computations in other processes are waited for now.
	Following int64
}

// Stats reads the counters. It is cheap enough for every scrape.
func (s *Store) Stats() Stats {
	out := Stats{
		MemoryHits:    s.stats.memoryHits.Load(),
		SharedHits:    s.stats.sharedHits.Load(),
		Misses:        s.stats.misses.Load(),
		Shared:        s.stats.shared.Load(),
		Faults:        s.stats.faults.Load(),
		Damaged:       s.stats.damaged.Load(),
		Following:     s.stats.following.Load(),
		MemoryEntries: s.memory.cache.EstimatedSize(),
		MemoryBytes:   s.memory.cache.WeightedSize(),
	}
	if s.breaker != nil {
		out.Skipping = s.breaker.open.Load()
		out.Trips = s.breaker.trips.Load()
	}
	return out
}

type counters struct {
	memoryHits, sharedHits, misses, shared, faults, damaged atomic.Uint64
	following                                               atomic.Int64
}

func (c *counters) count(source grading.Source, recalled bool) {
	switch source {
	case grading.Hit:
		if recalled {
			c.memoryHits.Add(1)
		} else {
			c.sharedHits.Add(1)
		}
	case grading.Miss:
		c.misses.Add(1)
	case grading.Shared:
		c.shared.Add(1)
	}
}

// complaints keeps a failing store from filling the log.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const complainEvery = 10 * time.Second

// fault counts a failed operation and logs it now and then. Keys and values
// stay out of the log; Redis repeats neither in its errors.
func (s *Store) fault(what string, err error) {
	if errors.Is(err, errSkipped) {
		return // said when the skipping began
	}
	s.stats.faults.Add(1)
	now := time.Now()
	s.complaints.mu.Lock()
	if s.complaints.last == nil {
		s.complaints.last = make(map[string]time.Time)
	}
	due := now.Sub(s.complaints.last[what]) >= complainEvery
	if due {
		s.complaints.last[what] = now
	}
	s.complaints.mu.Unlock()
	if due {
		s.log.Warn("an operation on the shared store failed", "operation", what, "error", err)
	}
}

// isTimeout reports whether a read ended because nothing came.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout())
}
