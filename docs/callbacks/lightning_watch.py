"""Watch a Lightning training in Residual Lens: `Trainer(callbacks=[Watch("my-net", images=x)])`."""

from lightning.pytorch.callbacks import Callback

from analysis import watch


class Watch(Callback):
    """Logs every epoch; measures over `images`, if given. `errors`: our column by your metric."""

    def __init__(self, name, data="", images=None, errors=None, folder=None):
        self.name, self.data, self.images, self.folder = name, data, images, folder
        self.errors = errors or {"train_loss": "train_loss", "test_loss": "val_loss"}

    def on_fit_start(self, trainer, module):
        self.run = watch(module, self.name, self.data, folder=self.folder,
                         epochs=trainer.max_epochs).start()  # fmt: skip

    def on_train_epoch_end(self, trainer, module):
        found = trainer.callback_metrics
        values = {ours: found[theirs] for ours, theirs in self.errors.items() if theirs in found}
        self.run.log(trainer.current_epoch + 1, lr=trainer.optimizers[0].param_groups[0]["lr"],
                     **values)  # fmt: skip
        if self.images is not None:
            self.run.probe(self.images)

    def on_fit_end(self, trainer, module):
        self.run.finish()

    def on_exception(self, trainer, module, exception):
        self.run.finish(exception)
