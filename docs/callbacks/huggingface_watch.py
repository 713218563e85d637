"""Watch a Hugging Face training: `Trainer(..., callbacks=[Watch("my-net", batch=batch)])`."""

from transformers import TrainerCallback

from analysis import watch


class Watch(TrainerCallback):
    """Logs losses by epoch; measures over `batch` (a dictionary), if given."""

    names = {"loss": "train_loss", "eval_loss": "test_loss", "learning_rate": "lr"}

    def __init__(self, name, data="", batch=None, folder=None):
        self.name, self.data, self.batch, self.folder = name, data, batch, folder

    def on_train_begin(self, args, state, control, model=None, **_):
        self.run = watch(model, self.name, self.data, folder=self.folder,
                         epochs=int(args.num_train_epochs)).start()  # fmt: skip

    def on_log(self, args, state, control, logs=None, **_):
        values = {ours: logs[theirs] for theirs, ours in self.names.items() if theirs in logs}
        if values:
            self.run.log(-int(-(state.epoch or 0) // 1), **values)  # up: of a broken epoch, its own

    def on_epoch_end(self, args, state, control, **_):
        if self.batch is not None:
            self.run.probe(self.batch, epoch=round(state.epoch))

    def on_train_end(self, args, state, control, **_):
        self.run.finish()
