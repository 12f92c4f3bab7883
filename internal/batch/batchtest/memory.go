// Package batchtest says in tests what a batch.Store has to do. It is for tests
// alone.
package batchtest

import (
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/memory"
)

// Store is that of package memory.
type Store = memory.Store

// Queue is that of package memory.
type Queue = memory.Queue

// NewStore makes an empty Store that tells the time by now.
func NewStore(now func() time.Time) *Store { return memory.NewStore(now) }

// NewQueue makes an empty Queue.
func NewQueue() *Queue { return memory.NewQueue() }

// ErrDown is a store that does not answer, for FailWith.
var ErrDown = memory.ErrDown

var _ batch.Store = (*Store)(nil)
