package rubric

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// LoadFS reads every *.yaml and *.yml file at the top of fsys, in the order of
// their names; hidden files and folders are passed over. No such file is no
// sets and no error.
//
// The error is Faults with every fault of every file, two files with the same
// set id among them, or the error of the file system.
func LoadFS(fsys fs.FS) ([]*Set, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("list rubrics: %w", err)
	}
	var (
		sets   []*Set
		faults Faults
		byID   = make(map[string]*Set)
	)
	for _, entry := range entries {
		name := entry.Name()
		if ext := path.Ext(name); ext != ".yaml" && ext != ".yml" || strings.HasPrefix(name, ".") {
			continue
		}
		data, err := readFile(fsys, name)
		if errors.Is(err, errFolder) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read rubric %s: %w", name, err)
		}
		set, err := Parse(name, data)
		if err != nil {
			var f Faults
			if !errors.As(err, &f) {
				return nil, err
			}
			faults = append(faults, f...)
			continue
		}
		if first, again := byID[set.ID]; again {
			src, _ := newSource(name, data)
			fault := src.fault(set.places["/id"], fmt.Sprintf("two sets are called %s; the other is in %s", set.ID, first.path))
			fault.Pointer = "/id"
			faults = append(faults, fault)
			continue
		}
		byID[set.ID] = set
		sets = append(sets, set)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return sets, nil
}

var errFolder = errors.New("is a folder")

// readFile reads one file, but never much more of it than Parse would accept.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened for reading: nothing to lose
	// The entry may have been a symbolic link, as in a Kubernetes ConfigMap;
	// only the open file knows what it is.
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, errFolder
	}
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// Overlay is base with each set replaced by the one of the same id in over,
// and the rest of over behind it.
func Overlay(base, over []*Set) []*Set {
	byID := make(map[string]*Set, len(over))
	for _, s := range over {
		byID[s.ID] = s
	}
	var sets []*Set
	for _, s := range base {
		if o, ok := byID[s.ID]; ok {
			s = o
			delete(byID, s.ID)
		}
		sets = append(sets, s)
	}
	for _, s := range over {
		if _, rest := byID[s.ID]; rest {
			sets = append(sets, s)
		}
	}
	return sets
}
