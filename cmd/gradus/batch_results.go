package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gradus-ai/gradus/internal/rows"
)

// results is the file of results, which a run adds to. What was written is on
// the disk within syncEvery, also after a crash of the machine.
type results struct {
	writer *rows.Writer
	file   *os.File // nil for standard output

	mu     sync.Mutex
	dirty  bool
	failed error
	stop   chan struct{}
	done   sync.WaitGroup
}

// errWrite is wrapped by every failure to write results.
var errWrite = errors.New("write results")

// syncEvery is how long a row may be on its way to the disk. Each row on its own
// would make a disk the slowest part of grading.
const syncEvery = 100 * time.Millisecond

// openResults opens the file of results to go on behind what stands in it, and
// drops the rest: failed rows, damaged ones and a torn last line.
func openResults(name string, old *earlier, stdout io.Writer) (*results, error) {
	if name == stdio {
		return newResults(rows.NewWriter(stdout, rows.NDJSON), nil), nil
	}
	if err := old.cut(name); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, usage(err)
	}
	if old.begun() {
		return newResults(rows.Resume(file, old.format), file), nil
	}
	return newResults(rows.NewWriter(file, old.format), file), nil
}

func newResults(w *rows.Writer, file *os.File) *results {
	r := &results{writer: w, file: file, stop: make(chan struct{})}
	r.done.Go(func() {
		tick := time.NewTicker(syncEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.sync()
			case <-r.stop:
				return
			}
		}
	})
	return r
}

// Write adds a row.
func (r *results) Write(row *rows.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		if err := r.writer.Write(row); err != nil {
			r.failed = fmt.Errorf("%w: %w", errWrite, err)
		}
	}
	if r.failed != nil {
		return r.failed
	}
	r.dirty = true
	return nil
}

// sync brings what was written to the disk.
func (r *results) sync() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty || r.failed != nil {
		return
	}
	r.dirty = false
	err := r.writer.Flush()
	if err == nil && r.file != nil {
		if err = r.file.Sync(); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
			err = nil // a pipe or a device, which keeps nothing
		}
	}
	if err != nil {
		r.failed = fmt.Errorf("%w: %w", errWrite, err)
	}
}

// Close ends the file, and says why where rows have been lost on the way. It may
// be called once.
func (r *results) Close() error {
	close(r.stop)
	r.done.Wait()
	r.sync()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		if err := r.writer.Close(); err != nil {
			r.failed = fmt.Errorf("%w: %w", errWrite, err)
		}
	}
	err := r.failed
	if r.file != nil {
		if closed := r.file.Close(); err == nil && closed != nil {
			err = fmt.Errorf("%w: %w", errWrite, closed)
		}
	}
	return err
}
