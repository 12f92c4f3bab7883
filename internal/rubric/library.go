package rubric

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// ErrNotFound matches, by errors.Is, a reference to an unknown set or question.
var ErrNotFound = errors.New("not found")

// NotFoundError says which part of a reference is unknown.
type NotFoundError struct {
	// Ref is what was asked for.
	Ref string
	// Reason says which part is unknown, in one line.
	Reason string
	// Near lists references that may have been meant, the closest first.
	Near []string
}

// Error is the reason, with what may have been meant.
func (e *NotFoundError) Error() string {
	if len(e.Near) == 0 {
		return e.Reason
	}
	return e.Reason + "; did you mean " + strings.Join(e.Near, " or ") + "?"
}

// Is makes it match ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// Library finds questions by reference. It is safe for concurrent use; Replace
// swaps all sets at once, and who has found a question keeps it.
type Library struct {
	index atomic.Pointer[index]
}

// index is one state of the library and never changes.
type index struct {
	questions map[string]*Question
	sets      map[string]*Set
	sorted    []*Set
}

// NewLibrary makes a library of loaded sets; the error is that of Replace.
func NewLibrary(sets ...*Set) (*Library, error) {
	l := &Library{}
	l.index.Store(&index{})
	if err := l.Replace(sets); err != nil {
		return nil, err
	}
	return l, nil
}

// Replace swaps all sets for these. Two sets of one id, and sets that were not
// loaded by Parse or LoadFS, are refused with an error that matches ErrInvalid;
// the library then stays as it was.
func (l *Library) Replace(sets []*Set) error {
	next := &index{questions: make(map[string]*Question), sets: make(map[string]*Set)}
	var faults Faults
	for _, s := range sets {
		if first, again := next.sets[s.ID]; again {
			faults = append(faults, &InvalidError{Path: s.path, Pointer: "/id",
				Reason: fmt.Sprintf("two sets are called %s; the other is in %s", s.ID, first.path)})
			continue
		}
		next.sets[s.ID] = s
		next.sorted = append(next.sorted, s)
		for _, q := range s.Questions {
			if q.Ref != s.ID+"/"+q.ID || q.digest == "" {
				faults = append(faults, &InvalidError{Path: s.path,
					Reason: fmt.Sprintf("question %s of set %s has not been loaded", q.ID, s.ID)})
				continue
			}
			next.questions[q.Ref] = q
		}
	}
	if len(faults) > 0 {
		return faults
	}
	slices.SortFunc(next.sorted, func(a, b *Set) int { return cmp.Compare(a.ID, b.ID) })
	l.index.Store(next)
	return nil
}

// Find returns the question SET/QUESTION, or a *NotFoundError. A hit allocates
// nothing.
func (l *Library) Find(ref string) (*Question, error) {
	ix := l.index.Load()
	if q, ok := ix.questions[ref]; ok {
		return q, nil
	}
	return nil, ix.missing(ref)
}

// Set returns the set of this id, or a *NotFoundError.
func (l *Library) Set(id string) (*Set, error) {
	ix := l.index.Load()
	if s, ok := ix.sets[id]; ok {
		return s, nil
	}
	return nil, &NotFoundError{Ref: id, Reason: "no set " + quoted(id), Near: nearest(id, ix.ids())}
}

// Sets returns all sets, ordered by id. The slice is the caller's.
func (l *Library) Sets() []*Set { return slices.Clone(l.index.Load().sorted) }

func (ix *index) ids() []string {
	ids := make([]string, len(ix.sorted))
	for i, s := range ix.sorted {
		ids[i] = s.ID
	}
	return ids
}

// missing explains why there is no question ref.
func (ix *index) missing(ref string) error {
	e := &NotFoundError{Ref: ref}
	setID, id, whole := strings.Cut(ref, "/")
	set := ix.sets[setID]
	switch {
	case !whole && set != nil:
		e.Reason = fmt.Sprintf("%s is a set; a question is written SET/QUESTION", quoted(ref))
		if len(set.Questions) > 0 {
			e.Near = []string{set.Questions[0].Ref}
		}
	case !whole:
		e.Reason = fmt.Sprintf("%s names no question; a question is written SET/QUESTION", quoted(ref))
		e.Near = ix.nearQuestions(ix.sorted, ref)
	case set == nil:
		e.Reason = "no set " + quoted(setID)
		for _, near := range nearest(setID, ix.ids()) {
			if ix.sets[near].Question(id) != nil {
				e.Near = append(e.Near, near+"/"+id)
			} else {
				e.Near = append(e.Near, near+"/…")
			}
		}
	default:
		e.Reason = fmt.Sprintf("no question %s in set %s", quoted(id), setID)
		e.Near = ix.nearQuestions([]*Set{set}, id)
	}
	return e
}

// nearQuestions is the references of questions whose local id is near to id.
func (ix *index) nearQuestions(sets []*Set, id string) []string {
	var ids, refs []string
	for _, s := range sets {
		for _, q := range s.Questions {
			ids = append(ids, q.ID)
		}
	}
	for _, near := range nearest(id, ids) {
		for _, s := range sets {
			if q := s.Question(near); q != nil && !slices.Contains(refs, q.Ref) {
				refs = append(refs, q.Ref)
			}
		}
	}
	return refs[:min(3, len(refs))]
}
