# Op: one step of a program. It is bound once to the memory it reads and writes; then forward and backward run without the
# interpreter. Values are (rows, ...) arrays; an op sees them as matrices whose last axis is the feature axis, so that a value of
# shape (rows, T, F) is (rows * T, F): `repeat` is T.

cdef struct Step:
    # What changes from batch to batch; handed to every op.
    fnn_ctx cx
    int64_t rows            # rows of this batch
    const int64_t *order    # the epoch's order of the samples, or NULL for the order of the arrays
    int64_t first           # the batch is samples order[first], ..., order[first + rows - 1]
    int64_t number          # optimizer steps before this one: random streams and bias corrections count from it
    int64_t part            # of the step, where it takes its samples in several parts or batches; else 0
    bint last               # whether the step ends with this batch
    uint64_t seed
    double learning_rate
    double momentum         # of a schedule; below 0 where there is none and the rule's own holds
    double weight           # sum of the sample weights of the batch
    double loss             # mean loss of the batch, penalties included
    int32_t failed          # set where Python code raised: in an op, or as signals were looked for
    bint watched            # whether kernels may be stopped: then nothing but values and gradients is written to
    unsigned fp_mode        # the caller's floating-point mode; programs run with denormals as zero

# Namespaces of the random streams of one seed, so that no two uses share numbers.
cdef enum:
    STREAM_SHUFFLE = 2
    STREAM_DROPOUT = 3
    STREAM_SAMPLES = 4

# The values that backward reads again, by op kind; the memory plan keeps them. "x": inputs, "y": the output.
cdef class Op:
    kind = ""
    needs = ""               # which values backward reads: "", "x", "y" or "xy"
    identity_in_predict = False
    sampled = ""             # the kind that stands for it where prediction draws random samples
    reads_feed = False       # whether it takes a batch where its feed finds it
    updates = ()             # roles of parameters whose optimizer rule `backward` can apply itself
    whole_batch = False      # whether it must see all samples of a batch at once
    moves_state = False      # whether training changes its state
    least_rows = 1           # fewer in a part would cost it more than parts gain
    fuses_activation = False # an activation that it alone feeds may become its attribute
    folds_scale = False      # a scale and a shift of its output's last axis may be taken into its weight and bias

    cdef void forward(self, Step *s) noexcept nogil:
        pass

    cdef void backward(self, Step *s) noexcept nogil:
        pass

    def set_scratch(self, int threads, int precision):
        """Bytes of scratch that the op's kernels want."""
        return 0

    def check_batch(self, rows, samples):
        """Raises ValueError where a batch of so few rows is of no use, the smallest of those of that many samples."""

    def update_ops(self):
        """Ops that follow a completed training step, as new running statistics do."""
        return ()

    def rewind(self):
        """Forgets the steps of a stream so far."""


cdef real[:, ::1] matrix(array):
    """(rows, ..., features) as a matrix; None stays None."""
    if array is None:
        return None
    *_, features = array.shape
    return array.reshape(-1, features)


cdef int64_t repeat_of(array):
    """Matrix rows for each sample."""
    rows, *_, features = array.shape
    return array.size // (rows * features)
