package rubric

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid matches, by errors.Is, every fault in a set or a question.
var ErrInvalid = errors.New("invalid rubric")

// InvalidError is one fault. A fault in a file has Path, Line, Column and
// Excerpt; a fault in an inline question has only the pointer.
type InvalidError struct {
	// Path is the name the file was parsed under.
	Path string
	// Line and Column count from 1, Column in code points; both are 0 for an
	// inline question and for a fault of the file as a whole.
	Line, Column int
	// Pointer is the JSON pointer (RFC 6901) of the faulty value, or of what
	// it is missing from.
	Pointer string
	// Reason says what is wrong and what to write, in one line.
	Reason string
	// Excerpt is the lines around the fault with a caret below it. It is safe
	// to print: control characters of the file are replaced.
	Excerpt string
}

// Error is "file:line:column: reason" and the excerpt on the lines below, or
// "pointer: reason" for an inline question.
func (e *InvalidError) Error() string {
	var b strings.Builder
	switch {
	case e.Path != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Reason)
	case e.Path != "":
		fmt.Fprintf(&b, "%s: %s", e.Path, e.Reason)
	case e.Pointer != "":
		fmt.Fprintf(&b, "%s: %s", e.Pointer, e.Reason)
	default:
		b.WriteString(e.Reason)
	}
	if e.Excerpt != "" {
		b.WriteString("\n")
		b.WriteString(e.Excerpt)
	}
	return b.String()
}

// Is makes every fault match ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Faults is every fault found, in the order of the text. It is never empty
// when returned as an error. errors.As finds the first *InvalidError in it.
type Faults []*InvalidError

// faultsShown bounds what Error prints; a file that is not a set at all would
// otherwise scroll its first and most telling fault away.
const faultsShown = 20

// Error lists the faults, separated by blank lines where they have excerpts,
// at most twenty of them.
func (f Faults) Error() string {
	var b strings.Builder
	for i, e := range f {
		if i == faultsShown {
			fmt.Fprintf(&b, "\nand %d more", len(f)-i)
			break
		}
		if i > 0 {
			b.WriteString("\n")
			if f[i-1].Excerpt != "" {
				b.WriteString("\n")
			}
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// Unwrap lets errors.Is and errors.As see each fault.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, e := range f {
		errs[i] = e
	}
	return errs
}

// maxFaults bounds how many faults of one file are collected.
const maxFaults = 200

// collector gathers faults. at says where a pointer stands; for an inline
// question it says nothing.
type collector struct {
	faults Faults
	at     func(pointer string) InvalidError
	// given reports whether the text has a value at a pointer, so that a
	// missing one can be told from a zero; nil where that is not known.
	given func(pointer string) bool
	// excused are values that are missing because of a fault that has been
	// told, such as a misspelt name.
	excused map[string]bool
}

// excuse keeps later checks from telling of a missing value.
func (c *collector) excuse(pointer string) {
	if c.excused == nil {
		c.excused = make(map[string]bool)
	}
	c.excused[pointer] = true
}

// has reports whether the value at a pointer has been found faulty already, so
// that one mistake is not told twice.
func (c *collector) has(pointer string) bool {
	return c.excused[pointer] ||
		slices.ContainsFunc(c.faults, func(e *InvalidError) bool { return e.Pointer == pointer })
}

// missing reports whether there is certainly no value at a pointer.
func (c *collector) missing(pointer string) bool { return c.given != nil && !c.given(pointer) }

// add notes a fault at a pointer.
func (c *collector) add(pointer, format string, args ...any) {
	if len(c.faults) > maxFaults {
		return
	}
	e := c.at(pointer)
	e.Pointer = pointer
	e.Reason = fmt.Sprintf(format, args...)
	if len(c.faults) == maxFaults {
		e.Reason = "too many faults; those from here on are not listed"
	}
	c.faults = append(c.faults, &e)
}

// err is nil when there is no fault.
func (c *collector) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	return c.faults
}
