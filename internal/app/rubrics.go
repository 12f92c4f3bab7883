package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/rubrics"
)

// settle is how long a rubrics folder must be quiet before it is read again:
// editors and deployments write in several steps.
const settle = 200 * time.Millisecond

// shelf is the question sets in use: the embedded ones, overlaid by those of a
// folder, which are read again when the folder changes.
type shelf struct {
	library *rubric.Library
	folder  string // empty: embedded sets only
	log     *slog.Logger

	// fault is why the folder's newest state is not in use; nil when it is.
	fault atomic.Pointer[string]
	// reloaded, where set, hears of every attempt to reload.
	reloaded func(error)
}

func newShelf(folder string, log *slog.Logger) (*shelf, error) {
	sets, err := loadSets(folder)
	if err != nil {
		return nil, err
	}
	library, err := rubric.NewLibrary(sets...)
	if err != nil {
		return nil, err
	}
	return &shelf{library: library, folder: folder, log: log}, nil
}

func loadSets(folder string) ([]*rubric.Set, error) {
	embedded, err := rubric.LoadFS(rubrics.FS)
	if err != nil {
		return nil, fmt.Errorf("load the embedded rubrics: %w", err)
	}
	if folder == "" {
		return embedded, nil
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("%w: load rubrics: %w", ErrSetting, err)
	}
	own, err := rubric.LoadFS(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("load rubrics from %s: %w", folder, err)
	}
	return rubric.Overlay(embedded, own), nil
}

// reload reads the folder again. A folder with a fault changes nothing: the
// sets in use stay, and Fault says why.
func (s *shelf) reload() error {
	sets, err := loadSets(s.folder)
	if err == nil {
		err = s.library.Replace(sets)
	}
	if err != nil {
		reason := err.Error()
		s.fault.Store(&reason)
		s.log.Error("rubrics not reloaded, the old ones stay in use", "error", err)
	} else {
		s.fault.Store(nil)
		s.log.Info("rubrics reloaded", "sets", len(sets))
	}
	if s.reloaded != nil {
		s.reloaded(err)
	}
	return err
}

// Fault is why the folder's newest state is not in use, or "".
func (s *shelf) Fault() string {
	if reason := s.fault.Load(); reason != nil {
		return *reason
	}
	return ""
}

// watch reloads the folder when it changes, until the context ends.
func (s *shelf) watch(ctx context.Context) error {
	if s.folder == "" {
		<-ctx.Done()
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch rubrics: %w", err)
	}
	defer func() { _ = watcher.Close() }() // there is nothing left to watch
	// The folder, not its files: an editor that saves by renaming would leave a
	// watch on a file that is gone.
	if err := watcher.Add(s.folder); err != nil {
		return fmt.Errorf("watch rubrics in %s: %w", s.folder, err)
	}
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watcher.Events:
			if !open {
				return nil
			}
			if event.Op != fsnotify.Chmod {
				quiet.Reset(settle)
			}
		case err, open := <-watcher.Errors:
			if !open {
				return nil
			}
			// Events may have been lost: look for ourselves.
			s.log.Warn("watching rubrics", "error", err)
			quiet.Reset(settle)
		case <-quiet.C:
			// Also once at the start, for a change between loading and watching.
			_ = s.reload() // it has reported its own fault
		}
	}
}
