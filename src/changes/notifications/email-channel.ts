// Sends notifications by email, through the platform's binding `send_email`.
import { ChannelFault } from "./notification-channel.ts";
import type { NotificationChannel } from "./notification-channel.ts";

/** What is used of the platform's `SendEmail`. */
export interface EmailBinding {
  send(email: {
    readonly from: string;
    readonly to: string[];
    readonly subject: string;
    readonly text: string;
  }): Promise<unknown>;
}

/** Where emails come from and go to. */
export interface EmailSettings {
  readonly binding: EmailBinding;
  readonly from: string;
  readonly to: readonly string[];
}

/** A code of the platform, such as `E_SENDER_NOT_VERIFIED`. The message beside it may have addresses. */
const ERROR_CODE = /^[A-Z][A-Z0-9_]{1,63}$/;

/** Creates the channel of emails: one message with all recipients. */
export function createEmailChannel({ binding, from, to }: EmailSettings): NotificationChannel {
  return {
    name: "email",
    async send({ subject, text }) {
      try {
        await binding.send({ from, to: [...to], subject, text });
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "";
        throw new ChannelFault(`was refused with ${ERROR_CODE.test(code) ? code : "no code"}`);
      }
    },
  };
}
