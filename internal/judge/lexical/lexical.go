// Package lexical judges answers by their words: deterministic, offline and
// without a model.
//
// For each criterion it knows several phrasings (the statement, the author's
// phrases, the sentences of the sample answer that speak to it) and looks for
// the passage of one to three sentences that comes closest to one of them, in
// rare words, in words alike, and in concepts that a small lexicon brings
// together. Bare criteria, headings without phrases, borrow those of the
// bank's question about the same thing, if it has one. How close is close
// enough it learns from the question itself: answers to other questions must
// earn nothing and the sample answer nearly everything. Sentences that only
// list words, repeat the question or address the grader are not read.
//
// The package knows words, not truth: what it says is an estimate, and its
// confidence is capped. It reads no disk and asks nobody; its resources are
// embedded and their versions are part of the judge's fingerprint.
package lexical
