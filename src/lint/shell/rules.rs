//! The rules of the family, with their examples.

rules! {
    /// A variable of the guide stands in single quotes, where bash puts nothing in its place: the program gets the
    /// variable's name, and a request asks for a model of that name.
    Break VARIABLE_PROTECTED = "variable-in-single-quotes";

    /// A command uses a variable that no command of the reader's path sets, and that the reader is not asked to set:
    /// bash puts nothing in its place.
    Break VARIABLE_UNSET = "variable-not-set";

    /// A command uses a variable that only a later command sets: bash puts nothing in its place.
    Break VARIABLE_SET_LATER = "variable-set-later";

    /// A command gives a flag that the tool no longer has: it ends with an error. In the prerequisites it is milder:
    /// the quickstart works all the same.
    Break FLAG_REMOVED = "tool-flag-removed";

    /// A command unpacks a file, and what was downloaded right before has another name.
    Break FILE_NOT_DOWNLOADED = "downloaded-file-misnamed";

    /// A command holds a text in angle brackets that a reader must replace by hand; as it is, bash reads a redirection.
    Degraded PLACEHOLDER = "placeholder-in-command";

    /// A variable holds a flag with its value, and a command uses it without quotes: bash makes several arguments of it, and
    /// zsh, which many readers type into, gives it to the program as one.
    Degraded FLAGS_IN_VARIABLE = "variable-holds-flags";

    /// A line of a command that is meant to go on ends without a backslash, or with blanks behind it: the command ends
    /// there, and its next line is taken for another.
    Break CONTINUATION_BROKEN = "continuation-broken";

    /// A here-document is never closed: its word stands on no line of its own, or not at the line's beginning. Bash takes
    /// all that follows for its text.
    Break DOCUMENT_OPEN = "here-document-never-ends";

    /// A command names what does not exist: a verb or a flag of kubectl or helm with a letter wrong, a program that is a
    /// name of Kubernetes (`$(NAME)`) in a text that bash reads, or a dash or a quote of print.
    Break COMMAND_UNKNOWN = "command-unknown";

    /// An argument of a container holds quotes of its own around a value: no shell takes them away, and the program
    /// gets them as a part of the value.
    Break ARGUMENT_QUOTED = "argument-quoted";

    /// A flag of the endpoint picker is written in the form of older releases (`-poolName`): the program does not know
    /// it and ends. Which form a release has is data of its layout.
    Break PICKER_FLAG = "picker-flag-form";
}
